#include "libdataflow/checkpoint/lineage.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"

namespace dataflow {

namespace {

constexpr std::string_view latest_prefix = "latest-";
constexpr std::string_view epoch_prefix = "epoch-";
constexpr std::string_view run_prefix = "run-";
constexpr std::string_view checkpoint_prefix = "chk-";
constexpr std::string_view latest_version = "2";
/// The same without a checksum.
constexpr std::string_view first_latest_version = "1";

/// With zeros in front, so that names sort like numbers.
std::string padded(std::uint64_t number, int width) {
  char text[24];
  std::snprintf(text, sizeof text, "%0*llu", width, static_cast<unsigned long long>(number));
  return text;
}

std::optional<std::uint64_t> number_after(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  text.remove_prefix(prefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string run_folder(std::string_view job_name, std::uint64_t run) {
  return escape_key(job_name) + "/" + std::string{run_prefix} + padded(run, 6);
}
std::string epoch_key(const std::string& lineage, std::uint64_t epoch) {
  return lineage + "/" + std::string{epoch_prefix} + padded(epoch, 6);
}

/// The highest run that has an epoch.
Result<std::uint64_t> newest_run(CheckpointStorage& storage, std::string_view job_name) {
  const std::string prefix = escape_key(job_name) + "/";
  const auto keys = storage.list(prefix);
  if (!keys) return fail(keys.error());
  std::uint64_t newest = 0;
  for (const std::string& key : *keys) {
    const std::string_view rest = std::string_view{key}.substr(prefix.size());
    const auto run = number_after(rest.substr(0, rest.find('/')), run_prefix);
    if (run) newest = std::max(newest, *run);
  }
  return newest;
}

/// What a name points at is believed only when it is what was written: a bit that flips would name another checkpoint,
/// or another job, and nothing else would tell.
std::string checksum_line(std::string_view text) {
  char line[32];
  std::snprintf(line, sizeof line, "sum %016llx\n", static_cast<unsigned long long>(block_hash(text)));
  return line;
}
constexpr std::size_t checksum_line_bytes = 21;

/// The content of a run's first epoch: the job's id; what it began from, if from anything; and a checksum.
constexpr std::string_view origin_version = "from 1 ";

std::string encode_beginning(const std::string& job_id, const RunOrigin& origin) {
  std::string content = job_id + "\n";
  if (!origin.savepoint.empty()) {
    content += std::string{origin_version} + (origin.drop_unclaimed ? "drop " : "keep ") + origin.savepoint + "\n";
  }
  return content + checksum_line(content);
}

/// Runs that were begun by older programs have no checksum, and no line feed at the end.
Status decode_beginning(const std::string& content, Leadership& leadership) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::malformed_data, epoch_key(leadership.lineage, 1) + " cannot be used: " + std::string{why});
  };
  std::string_view rest = content;
  if (rest.ends_with('\n')) {
    if (rest.size() < checksum_line_bytes) return refuse("it is cut off");
    const std::string_view checked = rest.substr(0, rest.size() - checksum_line_bytes);
    if (rest.substr(checked.size()) != checksum_line(checked)) return refuse("its checksum is wrong: it is damaged");
    rest = checked.substr(0, checked.size() - (checked.ends_with('\n') ? 1 : 0));
  }
  const std::size_t line = rest.find('\n');
  leadership.job_id = rest.substr(0, line);
  if (leadership.job_id.find(' ') != std::string::npos) return refuse("it does not name the job that began the run");
  if (line == std::string_view::npos) return {};
  rest.remove_prefix(line + 1);
  const auto newer = "it does not say what the run began from, or in words of a newer program";
  if (!rest.starts_with(origin_version)) return refuse(newer);
  rest.remove_prefix(origin_version.size());
  leadership.origin.drop_unclaimed = rest.starts_with("drop ");
  const bool one_line = rest.find('\n') == std::string_view::npos;
  if (!one_line || (!leadership.origin.drop_unclaimed && !rest.starts_with("keep "))) return refuse(newer);
  leadership.origin.savepoint = rest.substr(std::string_view{"keep "}.size());
  return {};
}

/// Takes the next epoch of a run.
Result<std::uint64_t> take_epoch(CheckpointStorage& storage, const std::string& lineage) {
  const std::string prefix = lineage + "/" + std::string{epoch_prefix};
  while (true) {
    const auto keys = storage.list(prefix);
    if (!keys) return fail(keys.error());
    std::uint64_t epoch = 0;
    for (const std::string& key : *keys) {
      epoch = std::max(epoch, number_after(std::string_view{key}.substr(lineage.size() + 1), epoch_prefix).value_or(0));
    }
    const auto put = storage.put(epoch_key(lineage, epoch + 1), {});
    if (!put) return fail(put.error());
    if (*put == PutOutcome::stored) return epoch + 1;
  }
}

}  // namespace

std::string checkpoint_folder(const std::string& lineage, std::uint64_t id, std::uint64_t epoch) {
  return lineage + "/" + std::string{checkpoint_prefix} + padded(id, 10) + ".e" + padded(epoch, 6);
}

std::string latest_key(const std::string& lineage, std::uint64_t sequence) {
  return lineage + "/" + std::string{latest_prefix} + padded(sequence, 10);
}

std::string encode_latest(const CompletedCheckpoint& checkpoint) {
  const std::string content =
      std::string{latest_version} + " " + std::to_string(checkpoint.id) + " " + std::to_string(checkpoint.epoch) + "\n";
  return content + checksum_line(content);
}

Result<CompletedCheckpoint> decode_latest(std::string_view content, std::uint64_t sequence,
                                          const std::string& lineage) {
  const auto refuse = [&] {
    return fail(ErrorCode::malformed_data,
                latest_key(lineage, sequence) + " cannot be used: it does not name a checkpoint");
  };
  const std::size_t first = content.find(' ');
  if (first == std::string_view::npos || !content.ends_with('\n')) return refuse();
  if (content.substr(0, first) == latest_version) {
    if (content.size() < checksum_line_bytes) return refuse();
    const std::string_view checked = content.substr(0, content.size() - checksum_line_bytes);
    if (content.substr(checked.size()) != checksum_line(checked) || !checked.ends_with('\n')) return refuse();
    content = checked;
  } else if (content.substr(0, first) != first_latest_version) {
    return refuse();
  }
  content = content.substr(first + 1, content.size() - first - 2);
  const std::size_t space = content.find(' ');
  if (space == std::string_view::npos) return refuse();
  const auto id = number_after(content.substr(0, space), "");
  const auto epoch = number_after(content.substr(space + 1), "");
  if (!id || !epoch) return refuse();
  return CompletedCheckpoint{sequence, *id, *epoch, checkpoint_folder(lineage, *id, *epoch)};
}

Result<std::vector<CompletedCheckpoint>> list_completed(CheckpointStorage& storage, const std::string& lineage) {
  const auto keys = storage.list(lineage + "/" + std::string{latest_prefix});
  if (!keys) return fail(keys.error());
  std::vector<CompletedCheckpoint> completed;
  for (const std::string& key : *keys) {
    const auto sequence = number_after(std::string_view{key}.substr(lineage.size() + 1), latest_prefix);
    if (!sequence) continue;
    const auto content = storage.get(key);
    if (!content) return fail(content.error());
    auto checkpoint = decode_latest(*content, *sequence, lineage);
    if (!checkpoint) return fail(checkpoint.error());
    completed.push_back(std::move(*checkpoint));
  }
  std::sort(completed.begin(), completed.end(), [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
  return completed;
}

Result<Leadership> begin_run(CheckpointStorage& storage, std::string_view job_name, const std::string& job_id,
                             const RunOrigin& origin) {
  while (true) {
    const auto newest = newest_run(storage, job_name);
    if (!newest) return fail(newest.error());
    const std::string lineage = run_folder(job_name, *newest + 1);
    const auto put = storage.put(epoch_key(lineage, 1), encode_beginning(job_id, origin));
    if (!put) return fail(put.error());
    if (*put == PutOutcome::stored) return Leadership{lineage, 1, job_id, {}, origin};
  }
}

namespace {

Result<std::optional<Leadership>> lead(CheckpointStorage& storage, Leadership leadership) {
  const auto epoch = take_epoch(storage, leadership.lineage);
  if (!epoch) return fail(epoch.error());
  leadership.epoch = *epoch;
  auto completed = list_completed(storage, leadership.lineage);
  if (!completed) return fail(completed.error());
  leadership.completed = std::move(*completed);
  return std::optional{std::move(leadership)};
}

/// What is known of a run without leading it.
Result<Leadership> look_at_run(CheckpointStorage& storage, std::string_view job_name, std::uint64_t run) {
  Leadership leadership{run_folder(job_name, run), 0, {}, {}};
  const auto beginning = storage.get(epoch_key(leadership.lineage, 1));
  if (!beginning) return fail(beginning.error());
  if (Status decoded = decode_beginning(*beginning, leadership); !decoded) return fail(decoded.error());
  return leadership;
}

}  // namespace

Result<std::optional<Leadership>> resume_run(CheckpointStorage& storage, std::string_view job_name,
                                             std::string_view begun_by) {
  const auto newest = newest_run(storage, job_name);
  if (!newest) return fail(newest.error());
  for (std::uint64_t number = *newest; number > 0; --number) {
    auto run = look_at_run(storage, job_name, number);
    // Of older runs there may be remains.
    if (!run && !begun_by.empty() && run.error().code() == ErrorCode::not_found) continue;
    if (!run) return fail(run.error());
    if (begun_by.empty() || run->job_id == begun_by) return lead(storage, std::move(*run));
  }
  return std::optional<Leadership>{};
}

Status confirm_storage(CheckpointStorage& storage, const std::string& lineage, std::uint64_t epoch) {
  const std::string key = epoch_key(lineage, epoch);
  const auto mine = storage.get(key);
  if (mine) return {};
  if (mine.error().code() != ErrorCode::not_found) return fail(mine.error());
  // Unavailable, so that a job waits for its disk to come back instead of giving up after a few tries.
  return fail(ErrorCode::unavailable,
              "the checkpoint storage does not have " + storage.describe(key) +
                  " any more, which this job put there: has a disk vanished, or been exchanged?");
}

Status confirm_leadership(CheckpointStorage& storage, const std::string& lineage, std::uint64_t epoch) {
  if (Status there = confirm_storage(storage, lineage, epoch); !there) return there;
  const auto epochs = storage.list(lineage + "/" + std::string{epoch_prefix});
  if (!epochs) return fail(epochs.error());
  if (epochs->empty() || epochs->back() <= epoch_key(lineage, epoch)) return {};
  return fail(overtaken());
}

Status confirm_first(CheckpointStorage& storage, std::string_view job_name, std::string_view job_id) {
  const auto newest = newest_run(storage, job_name);
  if (!newest) return fail(newest.error());
  for (std::uint64_t number = *newest; number > 0; --number) {
    const auto run = look_at_run(storage, job_name, number);
    if (!run && run.error().code() == ErrorCode::not_found) continue;  // remains of an older one
    if (!run) return fail(run.error());
    if (run->job_id == job_id) return fail(overtaken());
  }
  return {};
}

Error overtaken() {
  return {ErrorCode::unsupported, "another process goes on with this job from its checkpoints"};
}

Result<Advance> advance_latest(CheckpointStorage& storage, const std::string& lineage,
                               CompletedCheckpoint& checkpoint) {
  // A coordinator of a later epoch may be reading what is completed, and must not be surprised by an entry afterwards.
  const auto epochs = storage.list(lineage + "/" + std::string{epoch_prefix});
  if (!epochs) return fail(epochs.error());
  for (const std::string& key : *epochs) {
    if (key > epoch_key(lineage, checkpoint.epoch)) return Advance::overtaken;
  }
  // What is put where nobody looks is not completed.
  if (std::find(epochs->begin(), epochs->end(), epoch_key(lineage, checkpoint.epoch)) == epochs->end()) {
    return fail(confirm_storage(storage, lineage, checkpoint.epoch).error());
  }
  while (true) {
    const std::string key = latest_key(lineage, checkpoint.sequence);
    const auto put = storage.put(key, encode_latest(checkpoint));
    if (!put) return fail(put.error());
    if (*put == PutOutcome::stored) return Advance::done;
    const auto content = storage.get(key);
    if (!content) return fail(content.error());
    const auto there = decode_latest(*content, checkpoint.sequence, lineage);
    if (!there) return fail(there.error());
    if (there->epoch != checkpoint.epoch) return Advance::overtaken;
    if (there->id == checkpoint.id) return Advance::done;
    ++checkpoint.sequence;
  }
}

Status remove_checkpoint(CheckpointStorage& storage, const CompletedCheckpoint& checkpoint,
                         const std::string& lineage) {
  // First its name, so that no entry ever points at a checkpoint that is half gone.
  if (checkpoint.sequence != 0) {
    if (Status removed = storage.remove(latest_key(lineage, checkpoint.sequence)); !removed) return removed;
  }
  const auto keys = storage.list(checkpoint.folder + "/");
  if (!keys) return fail(keys.error());
  for (const std::string& key : *keys) {
    if (Status removed = storage.remove(key); !removed) return removed;
  }
  return {};
}

Status remove_leftovers(CheckpointStorage& storage, const Leadership& leadership) {
  std::set<std::string> kept;
  for (const CompletedCheckpoint& checkpoint : leadership.completed) kept.insert(checkpoint.folder);
  const auto keys = storage.list(leadership.lineage + "/" + std::string{checkpoint_prefix});
  if (!keys) return fail(keys.error());
  for (const std::string& key : *keys) {
    const std::string folder = key.substr(0, key.rfind('/'));
    const std::size_t dot = folder.rfind(".e");
    if (dot == std::string::npos || kept.contains(folder)) continue;
    const auto epoch = number_after(std::string_view{folder}.substr(dot), ".e");
    if (!epoch || *epoch >= leadership.epoch) continue;
    if (Status removed = storage.remove(key); !removed) return removed;
  }
  return {};
}

}  // namespace dataflow
