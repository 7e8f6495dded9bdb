#pragma once
// Sources: a SplitEnumerator on the master hands out splits in order, a SourceReader in each subtask turns its
// splits into batches. Event time, watermarks per split, idleness, rate limits and the error policy are the
// engine's (libdataflow/sources/source_driver.hpp), so that a reader only reads.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/operators/operator.hpp"
#include "serialization/batch.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// A piece of a source that one subtask reads from start to end. `id` is unique in the source and shown to people
/// ("readings.csv[0..1048576)"); `description` is the reader's own encoding.
struct Split {
  std::string id;
  std::string description;
};

/// How records get their event time, and how far it has come.
struct EventTimeSpec {
  std::size_t field = 0;                   ///< a timestamp field of the source's schema
  Duration out_of_orderness{0};            ///< the watermark trails the newest record of a split by this much
  std::optional<Duration> idle_after{};    ///< a split silent for so long holds no watermark back
  std::optional<Expression> expression{};  ///< over the source's schema, a timestamp: where no field has it
};

/// How a timestamp field is written in the source; all are `timestamp` afterwards.
enum class TimestampEncoding : std::uint8_t { iso8601, epoch_s, epoch_ms, epoch_us };

/// A field of a source's schema with how it is read.
struct SourceField {
  Field field;
  TimestampEncoding timestamp_encoding = TimestampEncoding::iso8601;
};

/// What a reader gives its records to.
class SourceOutput {
 public:
  virtual ~SourceOutput() = default;
  /// Batches have the source's schema and no timestamps yet. `split` is the id of the split they come from.
  virtual void emit(BatchPtr batch, std::string_view split) = 0;
  /// A record that does not decode: its raw bytes, why, and where ("readings.csv:17", line 17). The engine applies
  /// on_error; with `fail` the reader's next poll is not reached.
  virtual void malformed(std::string_view raw, std::string_view error, std::string_view position) = 0;
  [[nodiscard]] virtual bool full() const = 0;
  /// The most rows the reader should put into its next batch (the rate limit, or max_batch_rows).
  [[nodiscard]] virtual std::uint32_t batch_rows() const = 0;
};

/// What a poll came to.
struct SourceStep {
  enum class Kind : std::uint8_t {
    more,       ///< poll again as soon as there is room
    wait,       ///< nothing now; poll again at `until`
    split_end,  ///< the current split is read to its end, or there was none: give me the next
  };
  Kind kind = Kind::more;
  Timestamp until{};
};

/// A record in the data that it was read from.
struct RecordPlace {
  std::string position;
  std::optional<std::string> raw{};
};

/// One subtask's reader. Polls are bounded: one batch, or a few milliseconds of work.
class SourceReader {
 public:
  virtual ~SourceReader() = default;
  virtual Status open(OperatorContext& context);
  /// Called after split_end with the next split.
  virtual Status start_split(const Split& split) = 0;
  virtual Result<SourceStep> poll(SourceOutput& out) = 0;
  virtual Status close();
  /// Where in the current split the next record comes from, as `resume_split` reads it: for checkpoints, after a poll
  /// that was not split_end. Its first byte is a version. Errors: unsupported when what was read cannot be read again.
  [[nodiscard]] virtual Result<std::string> split_position() const;
  /// As start_split, but from a position. Errors: also malformed_data, and io when the split has shrunk since.
  virtual Status resume_split(const Split& split, std::string_view position);
  /// Where the reader stands, for error messages: "readings.csv, line 17".
  [[nodiscard]] virtual std::string position() const = 0;
  /// Where a row of the batch comes from that is being given to SourceOutput::emit, and its bytes where they are known;
  /// rows are asked for in ascending order. By itself, where the reader stands.
  virtual RecordPlace place_of(std::uint32_t row);
};

/// Knows all splits and hands them out in order. Lives on the master; called by one thread at a time.
class SplitEnumerator {
 public:
  struct Next {
    enum class Kind : std::uint8_t {
      split,  ///< `split` is for the caller
      wait,   ///< none at present (a watched folder): ask again at `until`
      done,   ///< there will be no more for this subtask
    };
    Kind kind = Kind::done;
    Split split{};
    Timestamp until{};
  };

  virtual ~SplitEnumerator() = default;
  /// Finds the splits. Errors: not_found, io with the path.
  virtual Status open(std::uint32_t parallelism) = 0;
  virtual Result<Next> next(std::uint32_t subtask, Timestamp now) = 0;

  /// What has not been handed out yet, for checkpoints: what has been is in the readers' state. Small, and read by
  /// `restore`; its first byte is a version. Errors: unsupported.
  [[nodiscard]] virtual Result<std::string> snapshot() const;
  /// After `open`: goes on from a snapshot, also under another parallelism. Errors: malformed_data; invalid_argument
  /// when the source is no longer the same.
  virtual Status restore(std::string_view snapshot);
};

/// The immutable description of a source.
class SourceFactory {
 public:
  virtual ~SourceFactory() = default;
  [[nodiscard]] virtual std::unique_ptr<SplitEnumerator> create_enumerator() const = 0;
  [[nodiscard]] virtual std::unique_ptr<SourceReader> create_reader() const = 0;
  /// Whether it ends by itself.
  [[nodiscard]] virtual bool bounded() const = 0;
  /// The same source with only the marked fields decoded; the others may come as unread_column. Null when the source
  /// cannot leave fields out.
  [[nodiscard]] virtual std::shared_ptr<const SourceFactory> reading(const std::vector<bool>& fields) const;
  /// Whether a subtask reads its splits at the same time, each with a reader of its own, instead of one after the
  /// other: for splits that do not end. Its enumerator then tells each subtask without waiting which splits are its
  /// own.
  [[nodiscard]] virtual bool side_by_side() const { return false; }
  /// The most subtasks that could have something to do (1 for standard input); nothing when there is no limit.
  [[nodiscard]] virtual std::optional<std::uint32_t> max_readers() const { return std::nullopt; }
};

using SourceFactoryPtr = std::shared_ptr<const SourceFactory>;

/// What the engine needs to know of a source beyond its factory.
struct SourceSpec {
  SourceFactoryPtr factory;
  std::optional<EventTimeSpec> event_time;
  ErrorPolicy on_error = ErrorPolicy::fail;
  std::optional<double> rate_limit_per_second;  ///< over all subtasks
};

/// The side output `NAME.errors` of a source with on_error = "side_output": raw bytes, error string, position string.
SchemaPtr source_error_schema();

}  // namespace dataflow
