#pragma once
// How long the scheduler lets a process's threads run at a time. The processes that coordinate have little to do and
// are waited for, so they ask for short slices: whoever has a short one is let in sooner beside workers that take all
// cores, for the same share of them (EEVDF: Stoica and Abdel-Wahab, "Earliest eligible virtual deadline first", 1995).

namespace dataflow {

/// For the calling thread, those that it starts from now on, and the processes that these start. Linux before 6.12 does
/// not listen, which is as if nobody had asked.
void ask_for_short_slices();
/// As the system has them by default, whatever the parent process has asked for.
void ask_for_usual_slices();

}  // namespace dataflow
