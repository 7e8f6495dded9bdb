#include "libdataflow/state/restored_store.hpp"

#include <algorithm>

#include "libdataflow/state/store_key.hpp"
#include "libdataflow/state/stored_table.hpp"

namespace dataflow {

namespace {

std::string first_of_group(std::uint32_t group) {
  std::string prefix;
  put_key_group(prefix, group);
  return prefix;
}

Result<OwnedStorePtr> open_part(const StateBackendPtr& backend, const StoredPart& part) {
  std::filesystem::path folder = backend->new_folder();
  if (Status fetched = part.fetch(folder); !fetched) return fail(fetched.error());
  return backend->open(std::move(folder));
}

}  // namespace

Result<OwnedStorePtr> restore_store(const StateBackendPtr& backend, StateReader& state, std::string_view table,
                                    const Schema& schema) {
  auto parts = state.stored(table);
  const bool fits = parts && std::all_of(parts->begin(), parts->end(), [&](const StoredPart& part) {
                      return part.on_rocksdb == backend->on_rocksdb() && *part.description->schema == schema;
                    });
  if (!fits) return OwnedStorePtr{};
  const KeyGroupRange mine = state.key_groups();
  std::sort(parts->begin(), parts->end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  OwnedStorePtr restored;
  for (const StoredPart& part : *parts) {
    auto store = open_part(backend, part);
    if (!store) return store;
    if (restored == nullptr) {
      restored = std::move(*store);
      const bool all_mine = part.key_groups.first >= mine.first && part.key_groups.end <= mine.end;
      if (Status kept = all_mine ? Status{} : keep_key_groups(**restored, mine); !kept) return fail(kept.error());
      continue;
    }
    const Status copied = copy_range(***store, **restored, first_of_group(mine.first), first_of_group(mine.end));
    if (!copied) return fail(copied.error());
  }
  return restored;
}

}  // namespace dataflow
