#include "libdataflow/topology/order_item.hpp"

#include <algorithm>
#include <cctype>

namespace dataflow {

OrderItem split_order(const std::string& text) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  const auto begin = std::find_if_not(text.begin(), text.end(), is_space);
  const auto end = std::find_if(begin, text.end(), is_space);
  OrderItem item{{begin, end}, {}};
  for (auto at = end; at != text.end(); ++at) {
    if (!is_space(*at)) item.direction.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(*at))));
  }
  return item;
}

}  // namespace dataflow
