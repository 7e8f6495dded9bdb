@0xb7d0a3f1c26e4d58;
# What a checkpoint or a savepoint is: the root of a `_metadata` file, and what a subtask acknowledges. The comments of
# this file are the specification of the format; checkpoint_metadata.cpp writes and checks it.
#
# The file is: 8 bytes "DFCKPT1\n"; the payload's length and its XXH3 64-bit hash, each 8 bytes little-endian; the
# payload, this message as a Cap'n Proto flat array. Evolution as in envelope.capnp.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("dataflow::wire");

struct Checkpoint {
  version @0 :UInt16;          # 3 when there are segments, else 2 when there are stores, else 1; a reader refuses what is
                               # newer than itself
  id @1 :UInt64;               # ascending within a lineage
  leaderEpoch @2 :UInt64;      # of the coordinator that completed it
  savepoint @3 :Bool;
  started @4 :Int64;           # processing time, microseconds since the Unix epoch
  completed @5 :Int64;
  jobName @6 :Text;
  jobId @7 :Text;
  maxParallelism @8 :UInt32;   # key groups of all keyed tables
  files @9 :List(File);
  operators @10 :List(Operator);
}

struct File {
  # Where blocks lie: a file of the storage, or, for little state, the bytes themselves.

  key @0 :Text;       # in the storage, relative to the folder of the metadata; empty: `content`
  size @1 :UInt64;
  content @2 :Data;
}

struct Operator {
  uid @0 :Text;                # by which the operator of a later job finds its state
  subtasks @1 :List(Subtask);  # in order; as many as its parallelism was
  hasEnumerator @2 :Bool;
  enumerator @3 :Data;         # of a source: what SplitEnumerator::snapshot gave
}

struct Subtask {
  tables @0 :List(Table);
  file @1 :UInt32;             # in Checkpoint.files
  messages @2 :UInt64;         # number of the newest message from outside that it had taken; 0: none
}

struct Table {
  name @0 :Text;
  kind @1 :UInt8;              # 0 keyed, 1 list, 2 union, 3 broadcast
  version @2 :UInt32;          # of what the operator means by the rows
  schema @3 :Data;             # as encode_schema writes it
  blocks @4 :List(Block);
  # Of version 2, for a keyed table that is a store's checkpoint (libdataflow/state/stored_table.hpp) instead of blocks:
  store @5 :List(StoreFile);   # empty: it is blocks
  storePrefix @6 :Text;        # in front of the names of its files, relative to the folder of the metadata
  # Of version 3:
  segments @7 :List(Segment);  # more rows of a table that is blocks
}

struct Segment {
  # Rows that stay what they are while a job runs: other checkpoints may have the same file under another name.

  file @0 :File;
  blocks @1 :List(Block);      # all of it; their offsets are in this file
}

struct StoreFile {
  name @0 :Text;
  size @1 :UInt64;
  checksum @2 :UInt64;         # XXH3, 64 bits
  immutable @3 :Bool;          # other checkpoints may have the same file under another name
}

struct Block {
  # Rows: a batch (envelope.capnp) as a flat array.

  keyGroup @0 :UInt32;         # of keyed tables, else 0
  rows @1 :UInt32;
  offset @2 :UInt64;           # in the subtask's file, or the segment's
  length @3 :UInt64;
  hash @4 :UInt64;             # XXH3, 64 bits, of those bytes
}

struct TaskState {
  # What one subtask acknowledges: the state of each operator of its chain, in one file.

  version @0 :UInt16;
  file @1 :File;
  operators @2 :List(Operator);  # each with one subtask, whose `file` is 0
  newBytes @3 :UInt64;           # of these, those that had to be written: what an incremental checkpoint costs
  messages @4 :UInt64;           # as in Subtask
}
