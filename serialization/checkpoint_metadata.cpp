#include "serialization/checkpoint_metadata.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "serialization/checkpoint.capnp.h"
#include "serialization/schema_codec.hpp"

namespace dataflow {

namespace {

constexpr std::string_view magic = "DFCKPT1\n";
constexpr std::size_t header_bytes = magic.size() + 16;

capnp::Text::Reader as_text(const std::string& value) {
  return {value.c_str(), value.size()};
}
capnp::Data::Reader as_data(std::string_view value) {
  return {reinterpret_cast<const kj::byte*>(value.data()), value.size()};
}
std::string string_of(capnp::Text::Reader value) {
  return {value.begin(), value.size()};
}
std::string string_of(capnp::Data::Reader value) {
  return {reinterpret_cast<const char*>(value.begin()), value.size()};
}
template <class List>
unsigned count_of(const List& list) {
  return static_cast<unsigned>(list.size());
}

void write_file(wire::File::Builder to, const StateFile& file) {
  to.setKey(as_text(file.key));
  to.setSize(file.size);
  if (file.key.empty()) to.setContent(as_data(file.content));
}

void write_blocks(capnp::List<wire::Block>::Builder to, const std::vector<StateBlock>& blocks) {
  for (unsigned i = 0; i < to.size(); ++i) {
    to[i].setKeyGroup(blocks[i].key_group);
    to[i].setRows(blocks[i].rows);
    to[i].setOffset(blocks[i].offset);
    to[i].setLength(blocks[i].length);
    to[i].setHash(blocks[i].hash);
  }
}

void write_tables(capnp::List<wire::Table>::Builder to, const std::vector<StateTable>& tables) {
  for (unsigned i = 0; i < to.size(); ++i) {
    const StateTable& table = tables[i];
    to[i].setName(as_text(table.description.name));
    to[i].setKind(static_cast<std::uint8_t>(table.description.kind));
    to[i].setVersion(table.description.version);
    const Buffer schema = encode_schema(*table.description.schema);
    to[i].setSchema({reinterpret_cast<const kj::byte*>(schema.data()), schema.size()});
    write_blocks(to[i].initBlocks(count_of(table.blocks)), table.blocks);
    auto segments = to[i].initSegments(count_of(table.segments));
    for (unsigned s = 0; s < segments.size(); ++s) {
      write_file(segments[s].initFile(), table.segments[s].file);
      write_blocks(segments[s].initBlocks(count_of(table.segments[s].blocks)), table.segments[s].blocks);
    }
    if (table.store.empty()) continue;
    auto files = to[i].initStore(count_of(table.store));
    for (unsigned f = 0; f < files.size(); ++f) {
      files[f].setName(as_text(table.store[f].name));
      files[f].setSize(table.store[f].bytes);
      files[f].setChecksum(table.store[f].checksum);
      files[f].setImmutable(table.store[f].immutable);
    }
    to[i].setStorePrefix(as_text(table.store_prefix));
  }
}

/// A name that leads out of the checkpoint's folder is not one that was written.
bool leads_away(std::string_view key) {
  return key.starts_with('/') || key.find("..") != std::string_view::npos;
}

/// The lowest whose readers understand all of these tables.
std::uint16_t version_for(const std::vector<StateTable>& tables) {
  std::uint16_t version = 1;
  for (const StateTable& table : tables) {
    if (!table.store.empty()) version = std::max<std::uint16_t>(version, 2);
    if (!table.segments.empty()) version = checkpoint_format_version;
  }
  return version;
}
/// Beside the subtask's file.
std::uint64_t stored_bytes(const std::vector<StateTable>& tables) {
  std::uint64_t bytes = 0;
  for (const StateTable& table : tables) {
    for (const StoredFileEntry& file : table.store) bytes += file.bytes;
    for (const StateSegment& segment : table.segments) bytes += segment.file.size;
  }
  return bytes;
}

Result<StateFile> read_file(wire::File::Reader from) {
  StateFile file{string_of(from.getKey()), from.getSize(), string_of(from.getContent())};
  if (file.key.empty() && file.content.size() != file.size) return malformed("a part of the state is cut off");
  if (leads_away(file.key)) {
    return malformed("it names the file \"" + file.key + "\", which is not its own");
  }
  return file;
}

Result<std::vector<StateBlock>> read_blocks(capnp::List<wire::Block>::Reader from, std::uint64_t file_size,
                                            const std::string& table) {
  std::vector<StateBlock> blocks;
  for (const auto block : from) {
    if (block.getOffset() > file_size || block.getLength() > file_size - block.getOffset()) {
      return malformed("a block of \"" + table + "\" lies outside of its file");
    }
    blocks.push_back({block.getKeyGroup(), block.getRows(), block.getOffset(), block.getLength(), block.getHash()});
  }
  return blocks;
}

Result<std::vector<StateTable>> read_tables(capnp::List<wire::Table>::Reader from, std::uint64_t file_size) {
  std::vector<StateTable> tables;
  for (const auto table : from) {
    if (table.getKind() > static_cast<unsigned>(StateKind::broadcast)) return malformed("a table has an unknown kind");
    GrowingBuffer words;
    words.append(table.getSchema().begin(), table.getSchema().size());
    auto schema = decode_schema(words.freeze());
    if (!schema) return fail(schema.error());
    StateTable read{
        {string_of(table.getName()), static_cast<StateKind>(table.getKind()), table.getVersion(), std::move(*schema)},
        {}};
    auto blocks = read_blocks(table.getBlocks(), file_size, read.description.name);
    if (!blocks) return fail(blocks.error());
    read.blocks = std::move(*blocks);
    for (const auto segment : table.getSegments()) {
      auto file = read_file(segment.getFile());
      if (!file) return fail(file.error());
      auto in_segment = read_blocks(segment.getBlocks(), file->size, read.description.name);
      if (!in_segment) return fail(in_segment.error());
      read.segments.push_back({std::move(*file), std::move(*in_segment)});
    }
    read.store_prefix = string_of(table.getStorePrefix());
    for (const auto file : table.getStore()) {
      StoredFileEntry entry{string_of(file.getName()), file.getSize(), file.getChecksum(), file.getImmutable()};
      if (leads_away(read.store_prefix + entry.name) || entry.name.find('/') != std::string::npos) {
        return malformed("it names the file \"" + read.store_prefix + entry.name + "\", which is not its own");
      }
      read.store.push_back(std::move(entry));
    }
    tables.push_back(std::move(read));
  }
  return tables;
}

std::string flat(capnp::MessageBuilder& message) {
  const auto words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}

/// Calls `read(root)` with the message in `bytes`; what is wrong with it becomes an Error.
template <class Root, class Read>
auto with_message(std::string_view bytes, Read&& read) -> decltype(read(std::declval<typename Root::Reader>())) {
  if (bytes.size() % sizeof(capnp::word) != 0) return malformed("its length is no multiple of 8 bytes");
  GrowingBuffer aligned;
  aligned.append(bytes.data(), bytes.size());
  try {
    const kj::ArrayPtr<const capnp::word> words{aligned.as<capnp::word>(), aligned.size() / sizeof(capnp::word)};
    capnp::ReaderOptions options;
    options.traversalLimitInWords = 8 * words.size() + 1024;
    capnp::FlatArrayMessageReader reader{words, options};
    const auto root = reader.getRoot<Root>();
    const unsigned version = root.getVersion();
    if (version == 0 || version > checkpoint_format_version) {
      return malformed("it has format version " + std::to_string(version) + ", this program reads 1 to " +
                       std::to_string(checkpoint_format_version));
    }
    return read(root);
  } catch (const kj::Exception& problem) {
    return malformed(problem.getDescription().cStr());
  }
}

Result<CheckpointMetadata> read_checkpoint(wire::Checkpoint::Reader root) {
  CheckpointMetadata metadata;
  metadata.id = root.getId();
  metadata.leader_epoch = root.getLeaderEpoch();
  metadata.savepoint = root.getSavepoint();
  metadata.started = Timestamp{root.getStarted()};
  metadata.completed = Timestamp{root.getCompleted()};
  metadata.job_name = string_of(root.getJobName());
  metadata.job_id = string_of(root.getJobId());
  metadata.max_parallelism = root.getMaxParallelism();
  for (const auto file : root.getFiles()) {
    auto read = read_file(file);
    if (!read) return fail(read.error());
    metadata.files.push_back(std::move(*read));
  }
  for (const auto op : root.getOperators()) {
    CheckpointMetadata::Operator read{string_of(op.getUid()), {}, std::nullopt};
    if (op.getHasEnumerator()) read.enumerator = string_of(op.getEnumerator());
    for (const auto subtask : op.getSubtasks()) {
      if (subtask.getFile() >= metadata.files.size()) return malformed("an operator's file is not in the list");
      auto tables = read_tables(subtask.getTables(), metadata.files[subtask.getFile()].size);
      if (!tables) return fail(tables.error().within(read.uid));
      read.subtasks.push_back({std::move(*tables), subtask.getFile(), subtask.getMessages()});
    }
    metadata.operators.push_back(std::move(read));
  }
  return metadata;
}

}  // namespace

std::string_view to_string(StateKind kind) {
  switch (kind) {
    case StateKind::keyed: return "keyed";
    case StateKind::list: return "list";
    case StateKind::union_all: return "union";
    case StateKind::broadcast: return "broadcast";
  }
  return "unknown";
}

const CheckpointMetadata::Operator* CheckpointMetadata::find(std::string_view uid) const {
  const auto at = std::find_if(operators.begin(), operators.end(), [&](const Operator& op) { return op.uid == uid; });
  return at == operators.end() ? nullptr : &*at;
}

std::uint64_t CheckpointMetadata::size() const {
  std::uint64_t bytes = 0;
  for (const StateFile& file : files) bytes += file.size;
  for (const Operator& op : operators) {
    for (const Subtask& subtask : op.subtasks) bytes += stored_bytes(subtask.tables);
  }
  return bytes;
}

std::uint64_t TaskState::size() const {
  std::uint64_t bytes = file.size;
  for (const Operator& op : operators) bytes += stored_bytes(op.tables);
  return bytes;
}

std::uint64_t block_hash(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string encode_metadata(const CheckpointMetadata& metadata) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::Checkpoint>();
  std::uint16_t version = version_for({});
  for (const auto& op : metadata.operators) {
    for (const auto& subtask : op.subtasks) version = std::max(version, version_for(subtask.tables));
  }
  root.setVersion(version);
  root.setId(metadata.id);
  root.setLeaderEpoch(metadata.leader_epoch);
  root.setSavepoint(metadata.savepoint);
  root.setStarted(metadata.started.micros);
  root.setCompleted(metadata.completed.micros);
  root.setJobName(as_text(metadata.job_name));
  root.setJobId(as_text(metadata.job_id));
  root.setMaxParallelism(metadata.max_parallelism);
  auto files = root.initFiles(count_of(metadata.files));
  for (unsigned i = 0; i < files.size(); ++i) write_file(files[i], metadata.files[i]);
  auto operators = root.initOperators(count_of(metadata.operators));
  for (unsigned i = 0; i < operators.size(); ++i) {
    const CheckpointMetadata::Operator& op = metadata.operators[i];
    operators[i].setUid(as_text(op.uid));
    operators[i].setHasEnumerator(op.enumerator.has_value());
    if (op.enumerator) operators[i].setEnumerator(as_data(*op.enumerator));
    auto subtasks = operators[i].initSubtasks(count_of(op.subtasks));
    for (unsigned s = 0; s < subtasks.size(); ++s) {
      write_tables(subtasks[s].initTables(count_of(op.subtasks[s].tables)), op.subtasks[s].tables);
      subtasks[s].setFile(op.subtasks[s].file);
      subtasks[s].setMessages(op.subtasks[s].messages);
    }
  }
  const std::string payload = flat(message);
  std::string out{magic};
  const std::uint64_t numbers[] = {payload.size(), block_hash(payload)};
  out.append(reinterpret_cast<const char*>(numbers), sizeof numbers);
  return out + payload;
}

Result<CheckpointMetadata> decode_metadata(std::string_view bytes, std::string_view file) {
  const auto refuse = [&](const std::string& what) {
    return fail(ErrorCode::malformed_data, std::string{file} + " cannot be used: " + what);
  };
  if (bytes.size() < header_bytes) return refuse("it is cut off");
  if (!bytes.starts_with(magic)) return refuse("it is not the metadata of a checkpoint");
  std::uint64_t numbers[2];
  std::memcpy(numbers, bytes.data() + magic.size(), sizeof numbers);
  const std::string_view payload = bytes.substr(header_bytes);
  if (payload.size() != numbers[0]) {
    return refuse("it should have " + std::to_string(numbers[0]) + " bytes behind its header and has " +
                  std::to_string(payload.size()));
  }
  if (block_hash(payload) != numbers[1]) return refuse("its checksum is wrong: it is damaged");
  auto metadata =
      with_message<wire::Checkpoint>(payload, [](wire::Checkpoint::Reader root) { return read_checkpoint(root); });
  if (!metadata) return refuse(metadata.error().message());
  return metadata;
}

std::string encode_task_state(const TaskState& state) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::TaskState>();
  std::uint16_t version = version_for({});
  for (const auto& op : state.operators) version = std::max(version, version_for(op.tables));
  root.setVersion(version);
  root.setNewBytes(state.new_bytes);
  write_file(root.initFile(), state.file);
  root.setMessages(state.messages);
  auto operators = root.initOperators(count_of(state.operators));
  for (unsigned i = 0; i < operators.size(); ++i) {
    operators[i].setUid(as_text(state.operators[i].uid));
    write_tables(operators[i].initSubtasks(1)[0].initTables(count_of(state.operators[i].tables)),
                 state.operators[i].tables);
  }
  return flat(message);
}

Result<TaskState> decode_task_state(std::string_view bytes) {
  auto state = with_message<wire::TaskState>(bytes, [](wire::TaskState::Reader root) -> Result<TaskState> {
    TaskState read;
    read.messages = root.getMessages();
    auto file = read_file(root.getFile());
    if (!file) return fail(file.error());
    read.file = std::move(*file);
    read.new_bytes = root.getNewBytes();
    for (const auto op : root.getOperators()) {
      if (op.getSubtasks().size() != 1) return malformed("an operator has not one subtask");
      auto tables = read_tables(op.getSubtasks()[0].getTables(), read.file.size);
      if (!tables) return fail(tables.error());
      read.operators.push_back({string_of(op.getUid()), std::move(*tables)});
    }
    return read;
  });
  if (!state) return fail(state.error().within("the state of a subtask"));
  return state;
}

}  // namespace dataflow
