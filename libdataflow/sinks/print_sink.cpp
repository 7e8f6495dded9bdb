#include "libdataflow/sinks/print_sink.hpp"

#include <cerrno>
#include <cstring>
#include <mutex>

#include "libdataflow/sinks/sink_types.hpp"

namespace dataflow {

namespace {

std::FILE* chosen_stream = nullptr;  ///< null: standard output

/// What the subtasks of one sink share in a process: the stream, and an encoder that has begun once.
class SharedStream {
 public:
  explicit SharedStream(const PrintSinkSpec& spec)
      : stream_{spec.stream}, encoder_{make_encoder(spec.format, spec.schema, spec.changelog)} {}

  Status write(const Batch& batch) {
    const std::lock_guard lock{mutex_};
    text_.clear();
    if (!begun_) encoder_->begin(text_);
    begun_ = true;
    encoder_->encode(batch, text_);
    ::flockfile(stream_);
    errno = 0;
    const bool written =
        std::fwrite(text_.data(), 1, text_.size(), stream_) == text_.size() && std::fflush(stream_) == 0;
    const int error = errno;
    ::funlockfile(stream_);
    // One large batch must not keep its memory for ever.
    if (text_.capacity() > (4U << 20)) text_ = {};
    if (written) return {};
    if (error == EPIPE || error == ECANCELED) {
      // The reader has what it wanted, as `| head` has: an end that somebody asked for.
      return fail(ErrorCode::cancelled, "standard output was closed by the program that reads it");
    }
    return fail(ErrorCode::io, std::string{"cannot write to standard output: "} + std::strerror(error) +
                                   "; check where it is redirected to");
  }

 private:
  std::mutex mutex_;
  std::FILE* stream_;
  std::unique_ptr<RowEncoder> encoder_;
  bool begun_ = false;
  std::string text_;
};

class PrintSink final : public Operator {
 public:
  explicit PrintSink(std::shared_ptr<SharedStream> stream) : stream_{std::move(stream)} {}

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput&) override {
    if (Status written = stream_->write(*batch); !written) return fail(written.error());
    return Step::done;
  }

 private:
  std::shared_ptr<SharedStream> stream_;
};

class PrintSinkFactory final : public OperatorFactory {
 public:
  explicit PrintSinkFactory(const PrintSinkSpec& spec) : stream_{std::make_shared<SharedStream>(spec)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<PrintSink>(stream_); }

 private:
  std::shared_ptr<SharedStream> stream_;
};

void build_print(NodeBuilder& builder) {
  const InputInfo& input = builder.inputs().at(0);
  const std::string format = builder.settings().text("format");
  PrintSinkSpec spec;
  spec.schema = input.schema;
  spec.format = format == "csv" ? OutputFormat::csv : format == "table" ? OutputFormat::table : OutputFormat::json;
  spec.changelog = input.changelog != ChangelogMode::append_only;
  builder.node().details = format;
  builder.node().factory = make_print_sink(spec);
}

}  // namespace

void set_print_stream(std::FILE* stream) {
  chosen_stream = stream;
}

std::FILE* print_stream() {
  return chosen_stream != nullptr ? chosen_stream : stdout;
}

OperatorFactoryPtr make_print_sink(const PrintSinkSpec& spec) {
  return std::make_shared<PrintSinkFactory>(spec);
}

NodeType print_sink_type() {
  return {
      .name = "print",
      .role = NodeRole::sink,
      .summary = "Rows on standard output, at least once.",
      .options = {{.name = "format",
                   .kind = OptionKind::choice,
                   .help = "json: an object a line; csv: with a header; table: aligned columns. Rows of a changelog "
                           "begin with \"op\": +I, -U, +U or -D.",
                   .example = "\"table\"",
                   .default_value = "json",
                   .choices = {"json", "csv", "table"}}},
      .example = "[sinks.alerts]\ntype  = \"print\"\ninput = \"hot\"\n",
      .build = build_print};
}

}  // namespace dataflow
