// What the parts of the program villasnode-peer share.
#pragma once

#include "contents.hpp"
#include "villasnode.hpp"

#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

struct UsageError : std::runtime_error {
  using runtime_error::runtime_error;
};

struct Options {
  std::string wname, rname;
  villasnode::Config config;
  int flags = -1; // -1: the command's default
  int expect = contents::FLAGS; // -1: any
  std::uint64_t from = 0;
  bool only_try = false;
  bool begin = false;
  std::string close = "now";
  std::vector<std::string> arguments;
};

struct Command {
  const char *name;
  std::size_t least, most; // arguments
  void (*run)(villasnode::Node &, const Options &); // null: makes an image, and opens nothing
};

extern const std::vector<Command> COMMANDS;

// So that a wrong argument is found before anything is opened; UsageError.
void check_arguments(const Command &command, const Options &options);

// Reads a decimal, octal (0...) or hexadecimal (0x...) number; UsageError.
std::uint64_t number(const std::string &text, const char *what, std::uint64_t least, std::uint64_t most);

// ---- events.cpp ---------------------------------------------------------------------------------

// One line on standard output, at once.
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

extern volatile std::sig_atomic_t stopped; // SIGTERM or SIGINT has come

void catch_signals();

// Says "ready" and waits for SIGTERM or SIGINT; where `begin`, for SIGUSR2 too.
void stay_until_signal(bool begin = false);

void pause_shortly();
