// The text side of the `generate` source: seq(), random() and time() become columns.

#include <algorithm>
#include <cctype>

#include "libdataflow/sources/generate_source.hpp"

namespace dataflow {

namespace {

/// Names the generator's own columns in messages, which are then put in the user's words.
constexpr std::string_view input_name = "generate";

bool is_name_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

std::string lower_case(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

/// A call without arguments found in an expression's text.
struct Call {
  std::string name;  ///< lower case
  std::size_t begin = 0;
  std::size_t end = 0;  ///< behind the closing parenthesis
};

/// The end of a quoted text or name that begins at `at`; a doubled quote is one quote of its content.
std::size_t end_of_quoted(std::string_view text, std::size_t at) {
  const char quote = text[at];
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] != quote) continue;
    if (i + 1 < text.size() && text[i + 1] == quote) {
      ++i;
    } else {
      return i + 1;
    }
  }
  return text.size();
}

std::vector<Call> find_calls(std::string_view text) {
  std::vector<Call> calls;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\'' || text[at] == '"') {
      at = end_of_quoted(text, at);
      continue;
    }
    if (!is_name_byte(text[at])) {
      ++at;
      continue;
    }
    Call call;
    call.begin = at;
    while (at < text.size() && is_name_byte(text[at])) ++at;
    call.name = lower_case(text.substr(call.begin, at - call.begin));
    std::size_t next = at;
    const auto skip_blanks = [&] {
      while (next < text.size() && std::isspace(static_cast<unsigned char>(text[next])) != 0) ++next;
    };
    skip_blanks();
    if (next == text.size() || text[next] != '(') continue;
    ++next;
    skip_blanks();
    if (next == text.size() || text[next] != ')') continue;
    call.end = next + 1;
    at = call.end;
    calls.push_back(std::move(call));
  }
  return calls;
}

/// `text` with the generator's calls replaced by quoted column names, padded with blanks to the same length.
std::string with_columns(std::string_view text, const std::string& field, std::vector<RandomCall>& randoms) {
  std::string out{text};
  std::size_t number = 0;
  for (const Call& call : find_calls(text)) {
    std::string column;
    if (call.name == "seq" || call.name == "time") {
      column = call.name;
    } else if (call.name == "random") {
      // At most six characters, the room that `random()` leaves beside the quotes.
      column = "r" + std::to_string(randoms.size());
      randoms.push_back({field, number++});
    } else {
      continue;
    }
    column = '"' + column + '"';
    column.resize(std::max(column.size(), call.end - call.begin), ' ');
    out.replace(call.begin, call.end - call.begin, column);
  }
  return out;
}

}  // namespace

tl::expected<GeneratorPlan, std::vector<GeneratorMistake>> plan_generator(
    const std::vector<std::pair<std::string, std::string>>& fields) {
  GeneratorPlan plan;
  std::vector<std::string> texts;
  for (const auto& [name, text] : fields) texts.push_back(with_columns(text, name, plan.randoms));
  std::vector<Field> input{{"seq", TypeKind::int64}, {"time", TypeKind::timestamp}};
  for (std::size_t i = 0; i < plan.randoms.size(); ++i) input.push_back({"r" + std::to_string(i), TypeKind::float64});
  plan.input = make_schema(std::move(input));

  std::vector<GeneratorMistake> mistakes;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    auto compiled = Expression::compile(texts[i], *plan.input, input_name);
    if (compiled) {
      plan.fields.push_back({fields[i].first, std::move(*compiled)});
      continue;
    }
    ExpressionError& error = compiled.error();
    // Only calls without arguments have become columns.
    const std::string called = lower_case(std::string_view{texts[i]}.substr(error.offset, error.length));
    const bool own = called == "seq" || called == "random" || called == "time";
    if (own && error.message.starts_with("no function")) {
      error.message = called + " takes no arguments";
      error.suggestion = "write " + called + "()";
    }
    if (const std::size_t at = error.message.find(" in \"" + std::string{input_name}); at != std::string::npos) {
      // The columns that it would list are not the user's.
      error.message.resize(at);
      error.suggestion = "a generator has no input; it has seq(), time() and random()";
    }
    mistakes.push_back({fields[i].first, std::move(error)});
  }
  if (!mistakes.empty()) return tl::unexpected{std::move(mistakes)};
  return plan;
}

SchemaPtr schema_of(const GeneratorPlan& plan) {
  std::vector<Field> fields;
  for (const GeneratedField& field : plan.fields) fields.push_back({field.name, field.value.type()});
  return make_schema(std::move(fields));
}

}  // namespace dataflow
