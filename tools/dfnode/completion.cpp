// dfnode completion: scripts for shells, made from the commands and options themselves.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <memory>

#include "tools/dfnode/command.hpp"
#include "tools/dfnode/reference.hpp"

namespace dataflow::cli {

namespace {

struct CompletionOptions {
  std::string shell;
};

struct Word {
  std::string text;
  std::string help;
  std::string choices;  ///< of an option: the values that it takes, if there are only some
};

struct CommandWords {
  Word command;
  std::vector<Word> options;
};

/// `text mermaid dot` from CLI11's `FORMAT:{text,mermaid,dot}`.
std::string choices_of(const CLI::Option& option) {
  std::string type = option.get_type_name();
  const std::size_t open = type.find('{');
  const std::size_t close = type.find('}');
  if (open == std::string::npos || close == std::string::npos) return {};
  type = type.substr(open + 1, close - open - 1);
  std::replace(type.begin(), type.end(), ',', ' ');
  return type;
}

void add_options(const CLI::App& command, std::vector<Word>& options) {
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      const bool known =
          std::any_of(options.begin(), options.end(), [&](const Word& w) { return w.text == "--" + name; });
      if (!known) options.push_back({"--" + name, option->get_description(), choices_of(*option)});
    }
  }
}

std::vector<CommandWords> all_commands(const CLI::App& app) {
  std::vector<CommandWords> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    CommandWords words{{command->get_name(), command->get_description(), {}}, {}};
    add_options(*command, words.options);
    // Commands of two words: the options of all that begin with the first.
    for (const CLI::App* below : command->get_subcommands([](const CLI::App*) { return true; })) {
      add_options(*below, words.options);
    }
    commands.push_back(std::move(words));
  }
  return commands;
}

std::string joined(const std::vector<Word>& words) {
  std::string out;
  for (const Word& word : words) out += (out.empty() ? "" : " ") + word.text;
  return out;
}

std::string docs_names() {
  std::vector<std::string> names = reference_names();
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : " ") + name;
  return out;
}

/// Inside of single quotes, for all three shells.
std::string quotable(std::string text) {
  std::replace(text.begin(), text.end(), '\'', '`');
  return text;
}

/// What stands behind an option with choices: `"plan --format") ACTION` for each, for bash's and zsh's `case`.
template <class Offer>
std::string choice_cases(const std::vector<CommandWords>& commands, Offer offer) {
  std::string cases;
  for (const CommandWords& words : commands) {
    for (const Word& option : words.options) {
      if (option.choices.empty()) continue;
      cases += "    \"" + words.command.text + " " + option.text + "\") " + offer(option.choices) + "; return ;;\n";
    }
  }
  return cases;
}

std::string for_bash(const std::vector<CommandWords>& commands) {
  std::string names;
  std::string cases;
  for (const CommandWords& words : commands) {
    names += (names.empty() ? "" : " ") + words.command.text;
    cases += "    " + words.command.text + ") options=\"" + joined(words.options) + "\" ;;\n";
  }
  const std::string choices = choice_cases(
      commands, [](const std::string& values) { return "COMPREPLY=($(compgen -W \"" + values + "\" -- \"$word\"))"; });
  return "# dfnode completion for bash: eval \"$(dfnode completion bash)\"\n"
         "_dfnode() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} options=\n"
         "  COMPREPLY=()\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
         "    COMPREPLY=($(compgen -W \"" +
         names +
         " --help --version\" -- \"$word\"))\n"
         "    return\n"
         "  fi\n"
         "  case \"${COMP_WORDS[1]} ${COMP_WORDS[COMP_CWORD-1]}\" in\n" +
         choices +
         "  esac\n"
         "  case ${COMP_WORDS[1]} in\n" +
         cases +
         "  esac\n"
         "  case $word in\n"
         "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
         "    *)\n"
         "      case ${COMP_WORDS[1]} in\n"
         "        docs) COMPREPLY=($(compgen -W \"" +
         docs_names() +
         "\" -- \"$word\")) ;;\n"
         "        completion) COMPREPLY=($(compgen -W \"bash zsh fish\" -- \"$word\")) ;;\n"
         "        *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
         "      esac ;;\n"
         "  esac\n"
         "}\n"
         "complete -o filenames -F _dfnode dfnode\n";
}

std::string for_zsh(const std::vector<CommandWords>& commands) {
  std::string names;
  std::string cases;
  for (const CommandWords& words : commands) {
    names += "    '" + words.command.text + ":" + quotable(words.command.help) + "'\n";
    cases += "    " + words.command.text + ") options=(" + joined(words.options) + ") ;;\n";
  }
  const std::string choices = choice_cases(commands, [](const std::string& values) { return "compadd -- " + values; });
  return "#compdef dfnode\n"
         "# dfnode completion for zsh: eval \"$(dfnode completion zsh)\"\n"
         "_dfnode() {\n"
         "  local -a commands options\n"
         "  commands=(\n" +
         names +
         "  )\n"
         "  if (( CURRENT == 2 )); then\n"
         "    _describe command commands\n"
         "    return\n"
         "  fi\n"
         "  case \"$words[2] $words[CURRENT-1]\" in\n" +
         choices +
         "  esac\n"
         "  case $words[2] in\n" +
         cases +
         "  esac\n"
         "  if [[ $words[CURRENT] == -* ]]; then\n"
         "    compadd -- $options\n"
         "  elif [[ $words[2] == docs ]]; then\n"
         "    compadd -- " +
         docs_names() +
         "\n"
         "  elif [[ $words[2] == completion ]]; then\n"
         "    compadd -- bash zsh fish\n"
         "  else\n"
         "    _files\n"
         "  fi\n"
         "}\n"
         "compdef _dfnode dfnode\n";
}

std::string for_fish(const std::vector<CommandWords>& commands) {
  std::string out =
      "# dfnode completion for fish: dfnode completion fish | source\n"
      "complete -c dfnode -n __fish_use_subcommand -f\n";
  for (const CommandWords& words : commands) {
    const std::string& name = words.command.text;
    out += "complete -c dfnode -n __fish_use_subcommand -a " + name + " -d '" + quotable(words.command.help) + "'\n";
    for (const Word& option : words.options) {
      out += "complete -c dfnode -n '__fish_seen_subcommand_from " + name + "' -l " + option.text.substr(2) + " -d '" +
             quotable(option.help) + "'" + (option.choices.empty() ? "" : " -x -a '" + option.choices + "'") + "\n";
    }
  }
  out += "complete -c dfnode -n '__fish_seen_subcommand_from docs' -f -a '" + docs_names() + "'\n";
  return out + "complete -c dfnode -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n";
}

int completion(const CLI::App& app, const CompletionOptions& options) {
  const auto commands = all_commands(app);
  std::cout << (options.shell == "bash"  ? for_bash(commands)
                : options.shell == "zsh" ? for_zsh(commands)
                                         : for_fish(commands));
  return exit_done;
}

}  // namespace

void add_completion(CLI::App& app, Action& action) {
  auto options = std::make_shared<CompletionOptions>();
  CLI::App& command = *app.add_subcommand("completion", "Print a completion script for a shell");
  command.add_option("SHELL", options->shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command.footer("Examples:\n  eval \"$(dfnode completion bash)\"\n  dfnode completion fish | source");
  command.callback([options, &app, &action] { action = [options, &app] { return completion(app, *options); }; });
}

}  // namespace dataflow::cli
