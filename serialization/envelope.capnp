@0xc2f1a6d0b7e84935;
# What travels between subtasks, nodes and snapshots. The comments of this file are the specification of the
# format; codec_encode.cpp writes it and codec_decode.cpp checks every rule stated here.
#
# All numbers are little-endian. A blob is a Data field; a null pointer and a blob of length zero mean the same.
# Evolution: fields may be added under new ordinals and mean "absent" when zero. Whatever an old reader would
# misunderstand raises `version`; a reader refuses versions that are newer than its own. Ordinals and enumerants
# are never reused.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("dataflow::wire");

struct Envelope {
  # The root of every message of a channel.

  version @0 :UInt16;
  # 2 today: before it, no column was unread. 0 is never written: a message of zeros is not an envelope.

  union {
    batch @1 :Batch;

    watermark @2 :Int64;
    # No record with an event time at or before this (microseconds since the Unix epoch, UTC) will follow. The
    # smallest Int64 says nothing at all, the largest that the input has ended.

    barrier @3 :Barrier;

    idle @4 :Bool;
    # true: the channel takes no part in its reader's watermark until it says false or sends a record or watermark.

    endOfData @5 :Bool;
    # The last of the data. true: drain, that is, fire what is open; false: keep it for the savepoint.

    latencyMarker @6 :LatencyMarker;
  }
}

struct Barrier {
  # A checkpoint's cut: what came before it on this channel belongs to the checkpoint, what follows does not.

  checkpointId @0 :UInt64;
  started @1 :Int64;   # processing time at the coordinator, microseconds since the Unix epoch
  savepoint @2 :Bool;
}

struct LatencyMarker {
  # Travels with the records and overtakes none, to measure how long they take.

  emitted @0 :Int64;   # processing time at the source, microseconds since the Unix epoch
  sourceNode @1 :UInt32;
  sourceSubtask @2 :UInt32;
}

struct Batch {
  # Rows as columns. The schema belongs to the channel and is not repeated: a reader knows it beforehand and
  # refuses a batch whose columns differ from it in number or type. Names are not compared.

  rows @0 :UInt32;

  columns @1 :List(Column);
  # One a field, in the schema's order, each of `rows` rows.

  timestamps @2 :Data;
  # Event times: `rows` Int64, microseconds since the Unix epoch. Null when the stream has no event time.

  kinds @3 :Data;
  # What each row does to a changelog: `rows` bytes; 0 insert, 1 update-before, 2 update-after, 3 delete.
  # Null when every row is an insert.

  hasEventTime @4 :Bool;
  # Tells a batch without rows and with event time from one without event time. Must be true when
  # `timestamps` is not empty.
}

struct Column {
  # One field's values. The value under a NULL is any valid value of the type and is never read as data.

  kind @0 :TypeKind;
  precision @1 :UInt8;   # of a decimal, else 0
  scale @2 :UInt8;       # of a decimal, else 0

  values @3 :Data;
  # Fixed width: exactly `rows` values: boolean one byte, 0 or 1; int32 4 bytes; int64, float64 (IEEE 754),
  # decimal (unscaled) and timestamp (microseconds) 8 bytes. string and bytes: the bytes that `offsets` cut.

  offsets @4 :Data;
  # string and bytes: rows + 1 UInt32; the first is 0, none is smaller than the one before it, and the last is at
  # most the length of `values`. Row i is values[offsets[i] .. offsets[i + 1]). Null for the other types.
  # A string's bytes are UTF-8 by promise of who made them; a reader does not rely on it.

  validity @5 :Data;
  # One bit a row, least significant bit of byte 0 first, (rows + 7) / 8 bytes; 1 a value, 0 NULL; surplus bits
  # mean nothing. Null when no row is NULL.

  children @6 :List(Column);
  # Reserved for array (one element column), map (key and value) and row (its fields). Versions 1 and 2 have none.

  unread @7 :Bool;
  # Nobody reads its values: NULL in every row, and its blobs are null whatever `rows` says. Version 2.
}

enum TypeKind {
  boolean @0;
  int32 @1;
  int64 @2;
  float64 @3;
  decimal @4;    # 64-bit integer scaled by 10^scale; precision at most 18, scale at most precision
  string @5;     # UTF-8
  bytes @6;
  timestamp @7;  # microseconds since the Unix epoch, UTC
  array @8;
  map @9;
  row @10;
}

struct DataType {
  # The type tree, recursive from version 1 on.

  kind @0 :TypeKind;
  precision @1 :UInt8;
  scale @2 :UInt8;

  children @3 :List(Field);
  # array: one field, "element"; map: "key" and "value"; row: its fields; else none.
}

struct Field {
  name @0 :Text;
  type @1 :DataType;
}

struct Schema {
  # The root of the message that opens a channel and of the schema kept beside state.

  version @0 :UInt16;   # as Envelope.version
  fields @1 :List(Field);
  # Names are unique and not empty.
}
