#pragma once
// The one header of a job:
//
//     #include <dataflow/dataflow.hpp>
//     namespace df = dataflow;
//
//     struct Reading { std::string sensor; double celsius; };
//     DATAFLOW_RECORD(Reading, sensor, celsius)
//
//     void hot(df::Environment& env) {
//       env.read_csv<Reading>("readings.csv").filter([](const Reading& r) { return r.celsius > 25; }).print();
//     }
//     DATAFLOW_JOB("hot", hot)
//
// It drags in the standard library and tl::expected, nothing else.

#include "dataflow/actor_ref.hpp"
#include "dataflow/async.hpp"
#include "dataflow/broadcast.hpp"
#include "dataflow/co_group.hpp"
#include "dataflow/co_grouped_streams.hpp"
#include "dataflow/co_process.hpp"
#include "dataflow/connected_streams.hpp"
#include "dataflow/environment.hpp"
#include "dataflow/job.hpp"
#include "dataflow/joined_streams.hpp"
#include "dataflow/keyed_stream.hpp"
#include "dataflow/nexmark.hpp"
#include "dataflow/pattern.hpp"
#include "dataflow/pattern_stream.hpp"
#include "dataflow/process.hpp"
#include "dataflow/record.hpp"
#include "dataflow/sink.hpp"
#include "dataflow/source.hpp"
#include "dataflow/state.hpp"
#include "dataflow/stream.hpp"
#include "dataflow/trigger.hpp"
#include "dataflow/triggered_stream.hpp"
#include "dataflow/types.hpp"
#include "dataflow/window.hpp"
#include "dataflow/window_process.hpp"
#include "dataflow/windowed_stream.hpp"
