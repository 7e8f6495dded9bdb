#include "libdataflow/sources/nexmark_source.hpp"

#include <algorithm>
#include <array>

#include "libdataflow/sources/decoder_settings.hpp"
#include "libdataflow/sources/row_ranges.hpp"
#include "libdataflow/sources/source_types.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

using Text = void (NexmarkEvents::*)(std::uint64_t, std::string&) const;
using Number = std::int64_t (NexmarkEvents::*)(std::uint64_t) const;
using Time = Timestamp (NexmarkEvents::*)(std::uint64_t) const;

/// A field with how it is computed: one of the three, or none of them for event_type and id.
struct NexmarkField {
  std::string_view name;
  bool person, auction, bid;  ///< the kinds that have it
  Text text = nullptr;
  Number number = nullptr;
  Time time = nullptr;

  [[nodiscard]] bool is_of(NexmarkKind kind) const {
    return kind == NexmarkKind::person ? person : kind == NexmarkKind::auction ? auction : bid;
  }
};

NexmarkField text_field(std::string_view name, NexmarkKind kind, Text text) {
  return {name, kind == NexmarkKind::person, kind == NexmarkKind::auction, kind == NexmarkKind::bid, text};
}
NexmarkField number_field(std::string_view name, NexmarkKind kind, Number number) {
  return {name, false, kind == NexmarkKind::auction, kind == NexmarkKind::bid, nullptr, number};
}

const std::vector<NexmarkField>& all_fields() {
  using Events = NexmarkEvents;
  using enum NexmarkKind;
  static const std::vector<NexmarkField> fields{
      {.name = "event_type", .person = true, .auction = true, .bid = true},
      {.name = "id", .person = true, .auction = true, .bid = false},
      text_field("name", person, &Events::person_name),
      text_field("email_address", person, &Events::email_address),
      text_field("credit_card", person, &Events::credit_card),
      text_field("city", person, &Events::city),
      text_field("state", person, &Events::state),
      text_field("item_name", auction, &Events::item_name),
      text_field("description", auction, &Events::description),
      number_field("initial_bid", auction, &Events::initial_bid),
      number_field("reserve", auction, &Events::reserve),
      {.name = "expires", .person = false, .auction = true, .bid = false, .time = &Events::expires},
      number_field("seller", auction, &Events::seller),
      number_field("category", auction, &Events::category),
      number_field("auction", bid, &Events::auction),
      number_field("bidder", bid, &Events::bidder),
      number_field("price", bid, &Events::price),
      text_field("channel", bid, &Events::channel),
      text_field("url", bid, &Events::url),
      {.name = "date_time", .person = true, .auction = true, .bid = true, .time = &Events::time},
      {.name = "extra", .person = true, .auction = true, .bid = true, .text = &Events::extra},
  };
  return fields;
}

std::vector<NexmarkField> fields_of(std::optional<NexmarkKind> only) {
  if (!only) return all_fields();
  std::vector<NexmarkField> fields;
  for (const NexmarkField& field : all_fields()) {
    if (field.is_of(*only) && field.name != "event_type") fields.push_back(field);
  }
  return fields;
}

DataType type_of(const NexmarkField& field) {
  if (field.text != nullptr) return TypeKind::string;
  if (field.time != nullptr) return TypeKind::timestamp;
  return field.name == "event_type" ? TypeKind::int32 : TypeKind::int64;
}

class NexmarkReader final : public SourceReader {
 public:
  NexmarkReader(std::shared_ptr<const NexmarkSourceSpec> spec, std::shared_ptr<const NexmarkEvents> events)
      : spec_{std::move(spec)},
        events_{std::move(events)},
        schema_{nexmark_schema(spec_->only)},
        fields_{fields_of(spec_->only)} {}

  Status start_split(const Split& split) override { return range_.start(split); }
  [[nodiscard]] Result<std::string> split_position() const override { return range_.position(); }
  Status resume_split(const Split& split, std::string_view position) override { return range_.resume(split, position); }

  Result<SourceStep> poll(SourceOutput& out) override {
    SourceStep step;
    take(std::clamp<std::size_t>(out.batch_rows(), 1, max_batch_rows));
    if (!numbers_.empty()) out.emit(make_batch(), range_.split());
    step.kind = range_.left() > 0 ? SourceStep::Kind::more : SourceStep::Kind::split_end;
    return step;
  }

  [[nodiscard]] std::string position() const override { return "event " + std::to_string(range_.next()); }

 private:
  /// The numbers of the next events that are given.
  void take(std::size_t most) {
    numbers_.clear();
    while (numbers_.size() < most && range_.left() > 0) {
      const std::uint64_t n = events_->number_at(range_.next());
      range_.advance(1);
      if (!spec_->only || NexmarkEvents::kind(n) == *spec_->only) numbers_.push_back(n);
    }
  }

  BatchPtr make_batch() {
    const auto rows = static_cast<std::uint32_t>(numbers_.size());
    std::vector<ColumnPtr> columns;
    columns.reserve(fields_.size());
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const bool read = spec_->read.empty() || spec_->read[i];
      columns.push_back(read ? make_column(fields_[i]) : unread_column(type_of(fields_[i]), rows));
    }
    return std::make_shared<const Batch>(schema_, rows, std::move(columns));
  }

  ColumnPtr make_column(const NexmarkField& field) {
    if (field.text != nullptr) {
      return fill(field, [&](ColumnBuilder& column, std::uint64_t n) {
        text_.clear();
        (*events_.*field.text)(n, text_);
        column.append_text(text_);
      });
    }
    if (field.number != nullptr) {
      return fill(field,
                  [&](ColumnBuilder& column, std::uint64_t n) { column.append_int64((*events_.*field.number)(n)); });
    }
    if (field.time != nullptr) {
      return fill(field, [&](ColumnBuilder& column, std::uint64_t n) {
        column.append_int64((*events_.*field.time)(n).micros);
      });
    }
    if (field.name == "event_type") {
      return fill(field, [](ColumnBuilder& column, std::uint64_t n) {
        column.append_int32(static_cast<std::int32_t>(NexmarkEvents::kind(n)));
      });
    }
    return fill(field, [](ColumnBuilder& column, std::uint64_t n) { column.append_int64(NexmarkEvents::id(n)); });
  }

  template <class Append>
  ColumnPtr fill(const NexmarkField& field, const Append& append) {
    ColumnBuilder column{type_of(field), numbers_.size()};
    for (const std::uint64_t n : numbers_) {
      if (spec_->only || field.is_of(NexmarkEvents::kind(n))) {
        append(column, n);
      } else {
        column.append_null();
      }
    }
    return column.finish();
  }

  std::shared_ptr<const NexmarkSourceSpec> spec_;
  std::shared_ptr<const NexmarkEvents> events_;
  SchemaPtr schema_;
  std::vector<NexmarkField> fields_;
  RowRange range_;
  std::vector<std::uint64_t> numbers_;
  std::string text_;
};

class NexmarkSource final : public SourceFactory {
 public:
  explicit NexmarkSource(NexmarkSourceSpec spec) : NexmarkSource{std::move(spec), nullptr} {}
  NexmarkSource(NexmarkSourceSpec spec, std::shared_ptr<const NexmarkEvents> events)
      : spec_{std::make_shared<const NexmarkSourceSpec>(std::move(spec))},
        events_{events ? std::move(events) : std::make_shared<const NexmarkEvents>(spec_->events)} {}

  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override {
    return enumerate_row_ranges(spec_->count.value_or(INT64_MAX));
  }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override {
    return std::make_unique<NexmarkReader>(spec_, events_);
  }
  [[nodiscard]] bool bounded() const override { return spec_->count.has_value(); }
  [[nodiscard]] std::shared_ptr<const SourceFactory> reading(const std::vector<bool>& fields) const override {
    NexmarkSourceSpec spec = *spec_;
    spec.read = fields;
    return std::make_shared<NexmarkSource>(std::move(spec), events_);
  }

 private:
  std::shared_ptr<const NexmarkSourceSpec> spec_;
  std::shared_ptr<const NexmarkEvents> events_;
};

constexpr std::array<std::pair<std::string_view, NexmarkKind>, 3> kind_names{
    {{"person", NexmarkKind::person}, {"auction", NexmarkKind::auction}, {"bid", NexmarkKind::bid}}};

void build_nexmark(NodeBuilder& builder) {
  const Settings& settings = builder.settings();
  bool good = true;
  const auto refuse = [&](std::string_view path, std::string message, std::string suggestion = {}) {
    builder.error(path, std::move(message), std::move(suggestion));
    good = false;
  };
  NexmarkSourceSpec spec;
  if (!builder.source_schema().empty()) refuse("schema", "the benchmark says what fields there are", "remove schema");
  if (settings.has("events")) {
    if (settings.integer("events") < 0) refuse("events", "must not be negative");
    spec.count = static_cast<std::uint64_t>(settings.integer("events"));
  }
  spec.events.seed = static_cast<std::uint64_t>(settings.integer("seed"));
  spec.events.events_per_second = settings.number("event_rate");
  spec.events.out_of_order_group =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, settings.integer("out_of_order_group")));
  for (NexmarkMistake& mistake : mistakes_of(spec.events)) refuse(mistake.setting, std::move(mistake.message));
  const Result<Timestamp> start = parse_iso8601(settings.text("start"));
  if (!start) {
    refuse("start", start.error().message());
  } else {
    spec.events.start = *start;
  }
  for (const auto& [name, kind] : kind_names) {
    if (settings.text("stream") == name) spec.only = kind;
  }
  if (!good) return;
  builder.node().details = describe_nexmark(spec);
  const SchemaPtr schema = nexmark_schema(spec.only);
  set_source(builder, schema, make_nexmark_source(std::move(spec)));
}

}  // namespace

SchemaPtr nexmark_schema(std::optional<NexmarkKind> only) {
  std::vector<Field> fields;
  for (const NexmarkField& field : fields_of(only)) fields.push_back({std::string{field.name}, type_of(field)});
  return make_schema(std::move(fields));
}

std::vector<NexmarkMistake> mistakes_of(const NexmarkSettings& settings) {
  std::vector<NexmarkMistake> mistakes;
  if (!(settings.events_per_second > 0)) {
    mistakes.push_back({"event_rate", "must be more than 0 events per second of event time"});
  }
  if (settings.out_of_order_group % 953 == 0) {
    mistakes.push_back(
        {"out_of_order_group", "must be 1 or more, and no multiple of 953, by which the events are shuffled"});
  }
  return mistakes;
}

std::string describe_nexmark(const NexmarkSourceSpec& spec) {
  std::string text = spec.count ? std::to_string(*spec.count) + " events" : "without end";
  for (const auto& [name, kind] : kind_names) {
    if (spec.only == kind) text += ", " + std::string{name} + " alone";
  }
  return text;
}

SourceFactoryPtr make_nexmark_source(NexmarkSourceSpec spec) {
  return std::make_shared<NexmarkSource>(std::move(spec));
}

NodeType nexmark_source_type() {
  return {
      .name = "nexmark",
      .role = NodeRole::source,
      .summary = "The events of the Nexmark benchmark: people, auctions and bids; the same events at any parallelism.",
      .options = {{.name = "stream",
                   .kind = OptionKind::choice,
                   .help = "Which events: one kind with its own fields, or all with event_type (0 person, 1 auction, 2 "
                           "bid) and NULL in what an event does not have.",
                   .example = "\"bid\"",
                   .default_value = "all",
                   .choices = {"all", "person", "auction", "bid"}},
                  {.name = "events",
                   .kind = OptionKind::integer,
                   .help = "Events of all kinds together, of which 46 in 50 are bids; default: without end.",
                   .example = "1000000"},
                  {.name = "seed",
                   .kind = OptionKind::integer,
                   .help = "Another seed gives other events.",
                   .example = "42",
                   .default_value = "0"},
                  {.name = "start",
                   .help = "date_time of the first event.",
                   .example = "\"2024-01-01T00:00:00\"",
                   .default_value = "2015-07-15T00:00:00"},
                  {.name = "event_rate",
                   .kind = OptionKind::number,
                   .help = "Events per second of date_time; how fast they come is rate_limit's.",
                   .example = "100000",
                   .default_value = "10000"},
                  {.name = "out_of_order_group",
                   .kind = OptionKind::integer,
                   .help = "So many events come shuffled, then the next so many; 1: in order.",
                   .example = "1000",
                   .default_value = "1"}},
      .example =
          "[sources.bids]\ntype       = \"nexmark\"\nstream     = \"bid\"\nevents     = 1000000\nevent_time = { field "
          "= "
          "\"date_time\", out_of_orderness = \"4s\" }\n",
      .build = build_nexmark};
}

}  // namespace dataflow
