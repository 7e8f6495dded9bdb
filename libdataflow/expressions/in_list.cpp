#include "libdataflow/expressions/in_list.hpp"

#include <algorithm>

#include "libdataflow/expressions/rowwise.hpp"

namespace dataflow::expr {

namespace {

/// `Owned` keeps the literals; `T` is how a column's values are read.
template <class T, class Owned>
Kernel search(std::span<const NodePtr> list) {
  std::vector<Owned> values;
  bool has_null = false;
  for (const NodePtr& item : list) {
    if (item->constant()->is_null_constant()) {
      has_null = true;
    } else {
      values.push_back(Owned{Reader<T>{*item->constant()}[0]});
    }
  }
  // NaN equals nothing, and would spoil the order.
  std::erase_if(values, [](const Owned& v) { return !(v == v); });
  std::sort(values.begin(), values.end());
  return try_rows<bool, T>([values = std::move(values), has_null](RowResult<bool>& out, T x) {
    const auto at = std::lower_bound(values.begin(), values.end(), x);
    const bool found = at != values.end() && *at == x;
    if (!found && has_null) return out.null();
    out.set(found);
  });
}

}  // namespace

Kernel in_list_kernel(Kind kind, std::span<const NodePtr> list) {
  switch (kind) {
    case Kind::boolean: return search<bool, bool>(list);
    case Kind::int32: return search<std::int32_t, std::int32_t>(list);
    case Kind::float64: return search<double, double>(list);
    case Kind::null:
    case Kind::string:
    case Kind::bytes: return search<std::string_view, std::string>(list);
    default: return search<std::int64_t, std::int64_t>(list);
  }
}

}  // namespace dataflow::expr
