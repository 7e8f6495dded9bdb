#include "libdataflow/sources/stdin_source.hpp"

#include "libdataflow/sources/byte_stream.hpp"
#include "libdataflow/sources/decoder_settings.hpp"
#include "libdataflow/sources/source_types.hpp"

namespace dataflow {

namespace {

/// Between two looks at an empty pipe: short beside a person or a network, long beside the look itself (1 us).
constexpr Duration pause{2000};

class StdinEnumerator final : public SplitEnumerator {
 public:
  Status open(std::uint32_t) override { return {}; }
  Result<Next> next(std::uint32_t, Timestamp) override {
    Next found;
    if (given_) return found;
    given_ = true;
    found.kind = Next::Kind::split;
    found.split = {"stdin", ""};
    return found;
  }

  [[nodiscard]] Result<std::string> snapshot() const override { return std::string{given_ ? "1 1" : "1 0"}; }
  Status restore(std::string_view snapshot) override {
    given_ = snapshot == "1 1";
    return {};
  }

 private:
  bool given_ = false;
};

class StdinReader final : public SourceReader {
 public:
  explicit StdinReader(const StdinSourceSpec& spec) : spec_{spec} {}

  Status open(OperatorContext& context) override {
    context_ = &context;
    return {};
  }

  Status start_split(const Split&) override {
    RecordReader::Options options;
    options.name = "stdin";
    options.max_record_size = spec_.max_record_size;
    reader_ =
        std::make_unique<RecordReader>(pipe_stream(spec_.descriptor), make_decoder(spec_.decoder), std::move(options));
    return {};
  }

  Result<SourceStep> poll(SourceOutput& out) override {
    SourceStep step;
    step.kind = SourceStep::Kind::split_end;
    if (!reader_) return step;
    const Result<RecordReader::Step> read = reader_->poll(out, "stdin");
    if (!read) return fail(read.error());
    switch (*read) {
      case RecordReader::Step::more: step.kind = SourceStep::Kind::more; break;
      case RecordReader::Step::waiting:
        step.kind = SourceStep::Kind::wait;
        step.until = context_->now() + pause;
        break;
      case RecordReader::Step::end: reader_.reset();
    }
    return step;
  }

  /// Checkpoints are worth having all the same: what they cannot give back is said when it is asked for.
  [[nodiscard]] Result<std::string> split_position() const override { return std::string{"1"}; }
  Status resume_split(const Split&, std::string_view) override {
    return fail(ErrorCode::unsupported,
                "standard input cannot be read again, so a job that reads it cannot go on from a checkpoint; write the "
                "records to a file, or start anew");
  }

  [[nodiscard]] std::string position() const override { return reader_ ? reader_->position() : "the end of stdin"; }
  RecordPlace place_of(std::uint32_t row) override { return reader_->place_of(row); }

 private:
  StdinSourceSpec spec_;
  OperatorContext* context_ = nullptr;
  std::unique_ptr<RecordReader> reader_;
};

class StdinSource final : public SourceFactory {
 public:
  explicit StdinSource(StdinSourceSpec spec) : spec_{std::move(spec)} {}
  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override {
    return std::make_unique<StdinEnumerator>();
  }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override {
    return std::make_unique<StdinReader>(spec_);
  }
  [[nodiscard]] bool bounded() const override { return true; }
  [[nodiscard]] std::shared_ptr<const SourceFactory> reading(const std::vector<bool>& fields) const override {
    StdinSourceSpec spec = spec_;
    spec.decoder.read = fields;
    return std::make_shared<StdinSource>(std::move(spec));
  }
  [[nodiscard]] std::optional<std::uint32_t> max_readers() const override { return 1; }

 private:
  StdinSourceSpec spec_;
};

void build_stdin(NodeBuilder& builder) {
  const std::optional<DecoderOptions> decoder = read_decoder_options(builder);
  if (!decoder) return;
  builder.node().details = to_string(decoder->format);
  builder.node().max_parallelism = 1;
  set_source(builder, schema_of(decoder->fields),
             make_stdin_source({*decoder, builder.settings().size("max_record_size")}));
}

}  // namespace

SourceFactoryPtr make_stdin_source(StdinSourceSpec spec) {
  return std::make_shared<StdinSource>(std::move(spec));
}

NodeType stdin_source_type() {
  return {.name = "stdin",
          .role = NodeRole::source,
          .summary = "Records from standard input, until it ends.",
          .options = decoder_options(),
          .example = "[sources.log]\ntype   = \"stdin\"\nformat = \"lines\"\n",
          .build = build_stdin};
}

}  // namespace dataflow
