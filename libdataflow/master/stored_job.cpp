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

ErrorCode code_from(const std::string& name) {
  for (auto code = ErrorCode::invalid_argument; code != ErrorCode::internal;
       code = static_cast<ErrorCode>(static_cast<int>(code) + 1)) {
    if (to_string(code) == name) return code;
  }
  return ErrorCode::internal;
}

JobState state_from(const std::string& name) {
  for (const JobState known : all_states) {
    if (to_string(known) == name) return known;
  }
  throw std::out_of_range{"no state \"" + name + "\""};
}

StoredJob record_from(const Json& json) {
  StoredJob record;
  json.at("id").get_to(record.id);
  json.at("name").get_to(record.name);
  json.at("artifact").get_to(record.artifact);
  json.at("file_name").get_to(record.file_name);
  json.at("base_folder").get_to(record.base_folder);
  if (const auto at = json.find("libraries"); at != json.end()) at->get_to(record.libraries);
  json.at("overrides").get_to(record.overrides);
  json.at("environment").get_to(record.environment);
  json.at("arguments").get_to(record.arguments);
  json.at("parallelism").get_to(record.parallelism);
  json.at("followed").get_to(record.followed);
  record.from = json.value("from", "");
  record.drop_unclaimed = json.value("drop_unclaimed", false);
  record.state = state_from(json.at("state").get<std::string>());
  json.at("committing").get_to(record.committing);
  record.submitted_at = Timestamp{json.at("submitted_at").get<std::int64_t>()};
  if (const auto at = json.find("ended_at"); at != json.end()) record.ended_at = Timestamp{at->get<std::int64_t>()};
  json.at("slots").get_to(record.slots);
  if (const auto at = json.find("error"); at != json.end())
    record.error = Error{code_from(at->at("code").get<std::string>()), at->at("message").get<std::string>()};
  for (const Json& loss : json.value("master_losses", Json::array())) {
    record.losses.push_back({Timestamp{loss.at("at").get<std::int64_t>()}, loss.at("start").get<std::uint32_t>(),
                             loss.at("reason").get<std::string>()});
  }
  json.at("shown").get_to(record.shown);
  return record;
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
               {"file_name", record.file_name},
               {"base_folder", record.base_folder},
               {"libraries", record.libraries},
               {"overrides", record.overrides},
               {"environment", record.environment},
               {"arguments", record.arguments},
               {"parallelism", record.parallelism},
               {"followed", record.followed},
               {"state", to_string(record.state)},
               {"committing", record.committing},
               {"submitted_at", record.submitted_at.micros},
               {"slots", record.slots},
               {"shown", record.shown}};
  if (!record.from.empty()) {
    json["from"] = record.from;
    json["drop_unclaimed"] = record.drop_unclaimed;
  }
  if (record.ended_at) json["ended_at"] = record.ended_at->micros;
  if (record.error) json["error"] = {{"code", to_string(record.error->code())}, {"message", record.error->message()}};
  for (const MasterLoss& loss : record.losses)
    json["master_losses"].push_back({{"at", loss.at.micros}, {"start", loss.start}, {"reason", loss.reason}});
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
