#include "dataflow/environment.hpp"

#include <charconv>
#include <stdexcept>

namespace dataflow {

std::optional<std::string> Arguments::find(std::string_view name) const {
  std::optional<std::string> found;
  for (const std::string& argument : all_) {
    std::string_view rest = argument;
    if (!rest.starts_with("--") || !rest.substr(2).starts_with(name)) continue;
    rest.remove_prefix(2 + name.size());
    if (rest.empty()) found = "";
    if (rest.starts_with('=')) found = rest.substr(1);
  }
  return found;
}

std::string Arguments::get(std::string_view name, std::string_view otherwise) const {
  return find(name).value_or(std::string{otherwise});
}

std::int64_t Arguments::get_integer(std::string_view name, std::int64_t otherwise) const {
  const auto text = find(name);
  if (!text) return otherwise;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size()) {
    throw std::invalid_argument{"--" + std::string{name} + " takes a whole number, not \"" + *text + "\""};
  }
  return value;
}

Result<StreamGraph> build_job(std::string_view name, void (*function)(Environment&),
                              std::vector<std::string> arguments) {
  Environment environment{Arguments{std::move(arguments)}};
  try {
    function(environment);
  } catch (...) {
    return fail(error_of_current_exception("while the job \"" + std::string{name} + "\" was put together"));
  }
  return environment.build(name);
}

}  // namespace dataflow
