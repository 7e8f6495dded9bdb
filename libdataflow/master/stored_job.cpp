#include "libdataflow/master/stored_job.hpp"

#include <xxhash.h>

#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace dataflow {

namespace {

using Json = nlohmann::json;

constexpr std::string_view magic = "dataflow-job ";

/// Stored by name and not by number, so that states may be added.
constexpr JobState all_states[] = {JobState::created,  JobState::running, JobState::restarting, JobState::cancelling,
                                   JobState::canceled, JobState::failing, JobState::failed,     JobState::finished};

std::string checksum(std::string_view body) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(body.data(), body.size())));
  return digits;
}

/// Text that is not UTF-8 (an argument may be) is kept as it can be shown.
std::string dump(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const FailureRecord& failure) {
  Json json = {{"at", failure.at.micros},
               {"region", failure.of.region},
               {"attempt", failure.of.attempt},
               {"message", failure.message}};
  if (failure.subtask) json["subtask"] = {failure.subtask->vertex, failure.subtask->subtask};
  if (!failure.node.name.empty()) json["node"] = {failure.node.name, failure.node.incarnation};
  return json;
}

FailureRecord failure_from(const Json& json) {
  FailureRecord failure{Timestamp{json.at("at").get<std::int64_t>()},
                        {json.at("region").get<std::uint32_t>(), json.at("attempt").get<std::uint32_t>()},
                        {},
                        {},
                        json.at("message").get<std::string>()};
  if (const auto at = json.find("subtask"); at != json.end())
    failure.subtask = SubtaskId{at->at(0).get<std::uint32_t>(), at->at(1).get<std::uint32_t>()};
  if (const auto at = json.find("node"); at != json.end())
    failure.node = {at->at(0).get<std::string>(), at->at(1).get<std::uint64_t>()};
  return failure;
}

StoredJob record_from(const Json& json) {
  StoredJob record;
  record.id = json.at("id").get<std::string>();
  record.name = json.at("name").get<std::string>();
  record.artifact = json.at("artifact").get<std::string>();
  record.arguments = json.at("arguments").get<std::vector<std::string>>();
  record.settings = json.at("settings").get<std::map<std::string, std::string>>();
  record.submitted_at = Timestamp{json.at("submitted_at").get<std::int64_t>()};
  if (const auto at = json.find("ended_at"); at != json.end()) record.ended_at = Timestamp{at->get<std::int64_t>()};
  record.reason = json.at("reason").get<std::string>();
  record.restarts = json.at("restarts").get<std::uint32_t>();
  for (const Json& failure : json.at("failures")) record.failures.push_back(failure_from(failure));
  const auto state = json.at("state").get<std::string>();
  for (const JobState known : all_states) {
    if (to_string(known) != state) continue;
    record.state = known;
    return record;
  }
  throw std::out_of_range{"no state \"" + state + "\""};
}

/// Takes a word off the front of `text`, up to a blank or the line's end.
std::string_view next_word(std::string_view& text) {
  const std::size_t end = text.find_first_of(" \n");
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return word;
}

template <class Number>
bool read_number(std::string_view word, Number& number) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc{} && end == word.data() + word.size();
}

}  // namespace

std::string encode_stored_job(const StoredJob& record) {
  Json json = {{"id", record.id},
               {"name", record.name},
               {"artifact", record.artifact},
               {"arguments", record.arguments},
               {"settings", record.settings},
               {"state", to_string(record.state)},
               {"submitted_at", record.submitted_at.micros},
               {"reason", record.reason},
               {"restarts", record.restarts},
               {"failures", Json::array()}};
  if (record.ended_at) json["ended_at"] = record.ended_at->micros;
  for (const FailureRecord& failure : record.failures) json["failures"].push_back(to_json(failure));
  const std::string body = dump(json);
  return std::string{magic} + std::to_string(stored_job_version) + " " + checksum(body) + " " +
         std::to_string(body.size()) + "\n" + body;
}

Result<StoredJob> decode_stored_job(std::string_view bytes, const std::string& file) {
  if (bytes.substr(0, magic.size()) != magic)
    return fail(ErrorCode::malformed_data, file + ": is not the record of a job, or its beginning is damaged");
  bytes.remove_prefix(magic.size());
  std::uint32_t version = 0;
  if (!read_number(next_word(bytes), version) || version == 0)
    return fail(ErrorCode::malformed_data, file + ": is damaged: it has no version");
  if (version > stored_job_version) {
    return fail(ErrorCode::unsupported, file + ": was written by a newer dataflow (version " + std::to_string(version) +
                                            " of job records; this one reads up to " +
                                            std::to_string(stored_job_version) + ")");
  }
  const std::string_view expected = next_word(bytes);
  std::size_t length = 0;
  if (!read_number(next_word(bytes), length) || length != bytes.size()) {
    return fail(ErrorCode::malformed_data, file + ": is damaged: " + std::to_string(bytes.size()) +
                                               " bytes are there where its header promises another number");
  }
  if (checksum(bytes) != expected)
    return fail(ErrorCode::malformed_data, file + ": is damaged: its checksum does not match");
  try {
    return record_from(Json::parse(bytes));
  } catch (const std::exception& e) {
    return fail(ErrorCode::malformed_data, file + ": is no job record of this version: " + e.what());
  }
}

}  // namespace dataflow
