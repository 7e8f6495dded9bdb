#pragma once
// The calls `process<P>(arguments...)` of streams: apart from them, since there is one for each number of arguments.

#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

namespace dataflow {

using Place = std::source_location;

/// The ways to say `process`, with up to six arguments for the function's constructor, for streams with and without a
/// key: a place by default cannot stand behind a pack.
template <class Self>
class ProcessCalls {
 public:
  /// Feeds a process function `P`, made from the arguments in each subtask.
  template <class P>
  auto process(Place where = Place::current()) {
    return add<P>(std::tuple<>{}, where);
  }
  template <class P, class A>
  auto process(A a, Place where = Place::current()) {
    return add<P>(std::tuple<A>{std::move(a)}, where);
  }
  template <class P, class A, class B>
  auto process(A a, B b, Place where = Place::current()) {
    return add<P>(std::tuple<A, B>{std::move(a), std::move(b)}, where);
  }
  template <class P, class A, class B, class C>
  auto process(A a, B b, C c, Place where = Place::current()) {
    return add<P>(std::tuple<A, B, C>{std::move(a), std::move(b), std::move(c)}, where);
  }
  template <class P, class A, class B, class C, class D>
  auto process(A a, B b, C c, D d, Place where = Place::current()) {
    return add<P>(std::tuple<A, B, C, D>{std::move(a), std::move(b), std::move(c), std::move(d)}, where);
  }
  template <class P, class A, class B, class C, class D, class E>
  auto process(A a, B b, C c, D d, E e, Place where = Place::current()) {
    return add<P>(std::tuple<A, B, C, D, E>{std::move(a), std::move(b), std::move(c), std::move(d), std::move(e)},
                  where);
  }
  template <class P, class A, class B, class C, class D, class E, class F>
  auto process(A a, B b, C c, D d, E e, F f, Place where = Place::current()) {
    return add<P>(std::tuple<A, B, C, D, E, F>{std::move(a), std::move(b), std::move(c), std::move(d), std::move(e),
                                               std::move(f)},
                  where);
  }
  template <class P, class... Many>
  requires(sizeof...(Many) > 6 && !(std::is_same_v<Many, Place> || ...)) auto process(Many...) {
    static_assert(sizeof...(Many) <= 6,
                  "process takes at most six arguments for the function's constructor: give it a struct of them");
  }

 private:
  template <class P, class Arguments>
  auto add(Arguments arguments, const Place& where) {
    return static_cast<Self&>(*this).template add_process<P>(std::move(arguments), where);
  }
};

}  // namespace dataflow
