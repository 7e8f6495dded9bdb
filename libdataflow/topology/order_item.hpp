#pragma once
// An item of an order as options have it: "price DESC".

#include <string>

namespace dataflow {

struct OrderItem {
  std::string field;
  std::string direction;  ///< in capitals; empty: none was given
};

OrderItem split_order(const std::string& text);

}  // namespace dataflow
