#pragma once
// What a shared library exports, so that dfnode can load it: a job (DATAFLOW_JOB), or process functions that a
// topology's `process` nodes name (DATAFLOW_FUNCTION).

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "dataflow/environment.hpp"
#include "dataflow/version.hpp"

namespace dataflow {

/// The one symbol that is read before anything of the library is trusted, so its layout never changes: the stamp
/// first, then what the stamp vouches for.
struct JobDescriptor {
  const char* abi_stamp;
  const char* name;
  void (*function)(Environment&);
};

/// What a `process` node needs of a function in a library.
struct FunctionDescriptor {
  const char* name;
  bool keyed;
  const RecordInfo& (*input)();
  const RecordInfo& (*output)();
  /// The key types, and whether the key may be NULL.
  std::vector<DataType> (*key_types)();
  bool optional_key;
  /// Side outputs with their records: what the function's `static df::SideOutputs side_outputs()` gives.
  SideOutputs (*side_outputs)();
  /// `settings_json` holds the node's own keys. Throws what the constructor throws.
  OperatorFactoryPtr (*make)(std::shared_ptr<const ProcessPlan> plan, std::string_view settings_json);
  const FunctionDescriptor* next = nullptr;
};

struct FunctionList {
  const char* abi_stamp;
  const FunctionDescriptor* first;
};

/// The library's own functions: hidden, so that each library has its own list.
[[gnu::visibility("hidden")]] inline const FunctionDescriptor* dataflow_functions_of_this_library = nullptr;

/// Whether a fresh T has a value in its member number `Member`; no constant when it was not initialised.
template <class T, std::size_t Member>
consteval bool starts_with_value() {
  T fresh;
  std::size_t at = 0;
  bool has_value = true;
  for_each_field<T>(std::as_const(fresh), [&]<class M>(const M& member) {
    if (at++ != Member) return;
    // A class always is initialised: what it then has counts where it is something.
    if constexpr (std::is_class_v<M>) has_value = !(member == M{});
    if constexpr (!std::is_class_v<M>) [[maybe_unused]]
      M copy = member;
  });
  return has_value;
}
/// A default member initializer, as far as can be told: of a text it must not be empty. Clang 16 sees none in a record
/// with a std::string, whose constructor it does not evaluate: there each key must be given.
template <class T, std::size_t Member>
concept MemberWithDefault = requires {
  typename std::bool_constant<starts_with_value<T, Member>()>;
}
&&starts_with_value<T, Member>();

/// The keys of a node as the record of settings that they fill; a key that is left out leaves its member's default.
/// Errors: invalid_argument naming a key that there is not, that does not fit, or that is missing.
template <class T>
Status settings_from_json(std::string_view json, T& out) {
  static_assert(fields_own<T>(), "a function's settings own their bytes: std::string, not std::string_view");
  auto row = row_from_json(schema_of<T>(), json);
  if (!row) return fail(row.error());
  const Batch& batch = **row;
  RecordInfo info = record_info<T>();
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((info.fields[I].optional = info.fields[I].optional || MemberWithDefault<T, I>), ...);
  }
  (std::make_index_sequence<field_count<T>>{});
  if (auto status = require_members(batch, info.fields, info.name); !status) return status;
  try {
    std::size_t i = 0;
    for_each_field<T>(out, [&]<class M>(M& member) {
      const Column& column = batch.column(i++);
      if (column.is_null(0)) return;
      const ColumnView view{column.values.data(), column.offsets.template as<std::uint32_t>(), nullptr};
      FieldTraits<M>::read(view, 0, member);
    });
  } catch (...) {
    return fail(error_of_current_exception(batch, 0));
  }
  return {};
}

/// A function made from a record of settings, from the JSON text of its node's keys, or from nothing.
template <class P>
OperatorFactoryPtr make_function(std::shared_ptr<const ProcessPlan> plan, std::string_view settings_json) {
  if constexpr (requires { typename P::settings_type; }) {
    typename P::settings_type settings{};
    if (auto status = settings_from_json(settings_json, settings); !status) {
      throw std::invalid_argument{status.error().message()};
    }
    return std::make_shared<ProcessFactory<P, typename P::settings_type>>(std::move(plan),
                                                                          std::tuple{std::move(settings)});
  } else if constexpr (std::is_constructible_v<P, const std::string&>) {
    return std::make_shared<ProcessFactory<P, std::string>>(std::move(plan), std::tuple{std::string{settings_json}});
  } else {
    static_assert(std::is_default_constructible_v<P>,
                  "a function for topologies has a settings_type (a record that its constructor takes), or is made "
                  "from a std::string of JSON or from nothing");
    if (auto status = refuse_members(settings_json); !status) throw std::invalid_argument{status.error().message()};
    return std::make_shared<ProcessFactory<P>>(std::move(plan), std::tuple<>{});
  }
}

/// `return {df::side_output_of<Payment>("late")};`
template <class T>
SideOutput side_output_of(std::string name) {
  return {std::move(name), schema_of<T>(), std::string{record_name<T>()}};
}

template <class P>
FunctionDescriptor describe_function(const char* name) {
  FunctionDescriptor made{.name = name,
                          .keyed = KeyedFunction<P>,
                          .input = &record_info<typename P::input_type>,
                          .output = &record_info<typename P::output_type>,
                          .key_types = [] { return std::vector<DataType>{}; },
                          .optional_key = false,
                          .side_outputs = [] { return SideOutputs{}; },
                          .make = &make_function<P>};
  if constexpr (KeyedFunction<P>) {
    made.key_types = &KeyTraits<typename P::key_type>::types;
    made.optional_key = KeyTraits<typename P::key_type>::optional;
  }
  if constexpr (requires { P::side_outputs(); }) made.side_outputs = &P::side_outputs;
  return made;
}

/// Puts a function into its library's list when the library is loaded.
class FunctionRegistration {
 public:
  explicit FunctionRegistration(FunctionDescriptor descriptor) : descriptor_{descriptor} {
    descriptor_.next = dataflow_functions_of_this_library;
    dataflow_functions_of_this_library = &descriptor_;
  }
  FunctionRegistration(const FunctionRegistration&) = delete;
  FunctionRegistration& operator=(const FunctionRegistration&) = delete;

 private:
  FunctionDescriptor descriptor_;
};

}  // namespace dataflow

extern "C" {
/// Defined by DATAFLOW_JOB, once in a library or program.
extern const dataflow::JobDescriptor dataflow_job_v1;
/// In every library that includes this header. C linkage: filled in, not returned.
[[gnu::used, gnu::visibility("default")]] inline void dataflow_functions_v1(dataflow::FunctionList* list) {
  *list = {DATAFLOW_ABI_STAMP, dataflow::dataflow_functions_of_this_library};
}
}

/// `DATAFLOW_JOB("fraud", fraud)` makes `void fraud(df::Environment&)` the job of this library or program.
#define DATAFLOW_JOB(name, function)                                                        \
  extern "C" {                                                                              \
  const ::dataflow::JobDescriptor dataflow_job_v1{DATAFLOW_ABI_STAMP, (name), &(function)}; \
  }

#define DATAFLOW_JOIN_(a, b) a##b
#define DATAFLOW_JOIN(a, b) DATAFLOW_JOIN_(a, b)
/// `DATAFLOW_FUNCTION("enrich", Enrich)` lets topologies name the process function as `function = "enrich"`.
#define DATAFLOW_FUNCTION(name, ...)                           \
  static const ::dataflow::FunctionRegistration DATAFLOW_JOIN( \
      dataflow_function_, __COUNTER__){::dataflow::describe_function<__VA_ARGS__>(name)};
