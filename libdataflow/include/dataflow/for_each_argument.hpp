#pragma once
// A macro over each of its arguments, for DATAFLOW_RECORD and DATAFLOW_ENUM (C++20's __VA_OPT__; at most 85 arguments).
//
// A mistake in an argument is shown with the macros that it has gone through, hundreds of them; those of a system
// header are left out.
#pragma GCC system_header

#define DATAFLOW_PARENS_ ()
#define DATAFLOW_EXPAND_(...) DATAFLOW_EXPAND3_(DATAFLOW_EXPAND3_(DATAFLOW_EXPAND3_(DATAFLOW_EXPAND3_(__VA_ARGS__))))
#define DATAFLOW_EXPAND3_(...) DATAFLOW_EXPAND2_(DATAFLOW_EXPAND2_(DATAFLOW_EXPAND2_(DATAFLOW_EXPAND2_(__VA_ARGS__))))
#define DATAFLOW_EXPAND2_(...) DATAFLOW_EXPAND1_(DATAFLOW_EXPAND1_(DATAFLOW_EXPAND1_(DATAFLOW_EXPAND1_(__VA_ARGS__))))
#define DATAFLOW_EXPAND1_(...) __VA_ARGS__

/// DATAFLOW_FOR_EACH_(M, C, a, b) is M(C, a) M(C, b).
#define DATAFLOW_FOR_EACH_(macro, context, ...) \
  __VA_OPT__(DATAFLOW_EXPAND_(DATAFLOW_FOR_EACH_STEP_(macro, context, __VA_ARGS__)))
#define DATAFLOW_FOR_EACH_STEP_(macro, context, first, ...) \
  macro(context, first) __VA_OPT__(DATAFLOW_FOR_EACH_AGAIN_ DATAFLOW_PARENS_(macro, context, __VA_ARGS__))
#define DATAFLOW_FOR_EACH_AGAIN_() DATAFLOW_FOR_EACH_STEP_
