// The functions that choose between their arguments. They are nodes of their own, made by the checker (a kernel would
// see the errors of all arguments), and stand here for the reference and the argument counts: they have no bind.

#include "libdataflow/expressions/registry.hpp"

namespace dataflow::expr {

void add_conditional_functions(std::vector<Function>& table) {
  table.push_back({"coalesce",
                   "conditional",
                   "The first argument that is not NULL. Arguments behind it are not looked at, nor are their errors.",
                   "coalesce(NULL, 2, 3) = 2",
                   {{{{"x", Accepts::comparable}}, same_as_all(), {}, 0, true, Nulls::seen}}});
  table.push_back(
      {"nullif",
       "conditional",
       "NULL when both are equal, else the first.",
       "nullif('-', '-') IS NULL",
       {{{{"x", Accepts::comparable}, {"y", Accepts::comparable}}, same_as_all(), {}, 0, false, Nulls::seen}}});
  table.push_back({"if",
                   "conditional",
                   "The second argument when the condition is TRUE, else the third.",
                   "if(2 > 1, 'yes', 'no') = 'yes'",
                   {{{{"condition", Accepts::boolean}, {"yes", Accepts::comparable}, {"no", Accepts::comparable}},
                     same_as_all(),
                     {},
                     0,
                     false,
                     Nulls::seen}}});
  table.push_back({"now",
                   "time",
                   "The processing time, the same for all rows of a batch.",
                   "now() - INTERVAL '1' HOUR < now()",
                   {{{}, Kind::timestamp, {}}}});
  table.push_back({"mod",
                   "math",
                   "The remainder of the division, with the sign of the first; the same as %.",
                   "mod(-7, 3) = -1",
                   {{{{"a", Accepts::number}, {"b", Accepts::number}}, same_as_all(), {}}}});
}

}  // namespace dataflow::expr
