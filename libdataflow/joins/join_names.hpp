#pragma once
// What names in the expressions of a join mean: `left.id`, `auctions.id` by the node's name, or `id` alone where only
// one side has it.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/expressions/ast.hpp"
#include "libdataflow/joins/join_spec.hpp"

namespace dataflow::joins {

/// One side as expressions may call it.
struct NamedSide {
  std::string key;   ///< "left", "input"
  std::string node;  ///< as the input is written: "auctions", "daily.late"
  SchemaPtr schema;
};

/// What a name means.
struct MeantField {
  std::size_t side = left_input;  ///< 2: of the window
  std::size_t field = 0;          ///< of that side
};
inline constexpr std::size_t of_window = 2;

class JoinNames {
 public:
  JoinNames(NamedSide left, NamedSide right, bool windowed);

  [[nodiscard]] const NamedSide& side(std::size_t side) const { return sides_[side]; }
  [[nodiscard]] bool windowed() const { return windowed_; }
  /// The fields of a pair: "left.id", ..., "right.id", ..., and the window's bounds.
  [[nodiscard]] const SchemaPtr& pair() const { return pair_; }
  [[nodiscard]] const std::string& pair_name(const MeantField& field) const;

  /// Whether names become those of pairs, or those that the side itself has.
  enum class Form : std::uint8_t { pair, side };
  /// Replaces the names in `syntax`; what they meant is appended to `fields`. Errors: a name that is unknown or may
  /// mean two things, at its place in `text`, in which `syntax` was parsed.
  std::optional<ExpressionError> resolve(expr::Syntax& syntax, std::string_view text, Form form,
                                         std::vector<MeantField>& fields) const;

 private:
  struct Found {
    std::optional<MeantField> field;
    std::optional<ExpressionError> error;
  };
  [[nodiscard]] Found meant(const expr::Syntax& syntax, const expr::ColumnName& name) const;
  [[nodiscard]] Found qualified(const expr::Syntax& syntax, const expr::ColumnName& name) const;
  [[nodiscard]] Found of_side(std::size_t side, const expr::Syntax& syntax, const std::string& name) const;
  [[nodiscard]] std::optional<MeantField> window_bound(const std::string& name) const;
  [[nodiscard]] ExpressionError unknown(const expr::Syntax& syntax, const std::string& name,
                                        const std::vector<std::size_t>& sides) const;

  NamedSide sides_[2];
  bool windowed_;
  SchemaPtr pair_;
};

}  // namespace dataflow::joins
