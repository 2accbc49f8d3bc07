/* The code blocks of the join framework's page on shared memory, as they stand there, but for the include line and the namespace. */
#include <villas/shm.hpp>

using namespace villas::shm;

namespace {

/* What they use without including it comes with <villas/shm.hpp>. */
void report_error(Spsc::Producer &producer)
{
  char msg[512];
  // clang-format off
strcpy(msg, "ping");
if (producer.push(&msg) == -1) {
    std::cerr << "Error: " << lastError.message() << "\n";
}
  // clang-format on
}

} // namespace

#include "check.hpp"

#include <sched.h>
#include <sys/mount.h>

namespace {

constexpr uint64_t elementSize = 64, capacity = 8;

/* What the blocks leave behind. */
struct Cleanup {
  ~Cleanup()
  {
    for (const char *name : {"channel", "my_channel", "ipc_channel_AB", "ipc_channel_BA"})
      CHECK_EQ(SharedMemory::unlink(name), 0);
  }
};

template <typename Producer, typename Consumer> void pass_one(Producer &producer, Consumer &consumer)
{
  char out[elementSize] = "passed", in[elementSize] = "";
  CHECK_EQ(producer.open(), 0);
  CHECK_EQ(consumer.open(), 0);
  CHECK_EQ(producer.push(out), 0);
  CHECK_EQ(consumer.pop(in), 0);
  CHECK_EQ(std::strcmp(in, out), 0);
}

void spsc_policy()
{
  Cleanup cleanup;
  // clang-format off
Spsc::Producer producer("channel", elementSize, capacity);
Spsc::Consumer consumer("channel", elementSize, capacity);
  // clang-format on
  pass_one(producer, consumer);
}

void mpsc_policy()
{
  Cleanup cleanup;
  // clang-format off
Mpsc::Producer producer("channel", elementSize, capacity);
Mpsc::Consumer consumer("channel", elementSize, capacity);
  // clang-format on
  pass_one(producer, consumer);
}

void mpmc_policy()
{
  Cleanup cleanup;
  // clang-format off
Mpmc::Producer producer("channel", elementSize, capacity);
Mpmc::Consumer consumer("channel", elementSize, capacity);
  // clang-format on
  pass_one(producer, consumer);
}

template <typename Message> void consumer_of(Spsc::Producer &producer)
{
  // clang-format off
Spsc::Consumer consumer("my_channel", 1024, 64);

if (consumer.open() == -1) {
    // Handle error
  check::fail(__FILE__, __LINE__, "open of the consumer");
}

Message msg;

// Non-blocking
if (consumer.tryPop(&msg) == -1) {
    // No data available
  check::fail(__FILE__, __LINE__, "tryPop");
}
CHECK(msg.id == 42 && std::strcmp(msg.data, "Hello") == 0);
msg = {};

// Blocking
consumer.pop(&msg);
CHECK(msg.id == 42 && std::strcmp(msg.data, "Hello") == 0);
msg = {};

// Blocking with timeout
consumer.timedPop(&msg, std::chrono::seconds(1));
CHECK(msg.id == 42 && std::strcmp(msg.data, "Hello") == 0);

uint64_t slots = producer.available();
if (producer.full()) {
    // Cannot send without blocking
  check::fail(__FILE__, __LINE__, "full");
}
CHECK_EQ(slots, 64);

uint64_t messages = consumer.pending();
if (consumer.empty()) {
    // No messages available
  messages += 1000;
}
CHECK_EQ(messages, 1000);

producer.close();
report_error(producer);
CHECK_EQ(lastError.value(), EPIPE);
  // clang-format on
}

void producer_and_consumer()
{
  Cleanup cleanup;
  // clang-format off
Spsc::Producer producer("my_channel", 1024, 64);

if (producer.open() == -1) {
    // Handle error
  check::fail(__FILE__, __LINE__, "open of the producer");
}

struct Message {
    uint64_t id;
    char data[1016];
};

Message msg = {42, "Hello"};

// Non-blocking
if (producer.tryPush(&msg) == -1) {
    // Buffer full
  check::fail(__FILE__, __LINE__, "tryPush");
}

// Blocking
producer.push(&msg);

// Blocking with timeout
producer.timedPush(&msg, std::chrono::milliseconds(100));
  // clang-format on
  CHECK_EQ(producer.available(), 61);
  consumer_of<Message>(producer);
}

void endpoints()
{
  Cleanup cleanup;
  // clang-format off
// Process A
Spsc::Endpoint endpointA(Spsc::Endpoint::Side::A, "ipc_channel", 512, 128);
endpointA.open();

// Process B
Spsc::Endpoint endpointB(Spsc::Endpoint::Side::B, "ipc_channel", 512, 128);
endpointB.open();

char buffer[512];

// Send from A to B
strcpy(buffer, "ping");
endpointA.send(buffer);
std::memset(buffer, 0, sizeof buffer);

// Receive on B
endpointB.receive(buffer);
CHECK_EQ(strcmp(buffer, "ping"), 0);

// Reply from B to A
strcpy(buffer, "pong");
endpointB.send(buffer);
std::memset(buffer, 0, sizeof buffer);

// Receive reply on A
endpointA.receive(buffer);
CHECK_EQ(strcmp(buffer, "pong"), 0);

Spsc::Endpoint &endpoint = endpointA;
int sent = 0, received = 0;
if (endpoint.trySend(buffer) == 0) {
    // Sent successfully
  sent++;
}

if (endpoint.tryReceive(buffer) == 0) {
    // Received data
  received++;
}
CHECK(sent == 1 && received == 0);

if (endpoint.opened()) {
    uint64_t canSend = endpoint.available();
    uint64_t canRecv = endpoint.pending();
    CHECK(canSend == 127 && canRecv == 0);
}
CHECK(endpoint.opened());
  // clang-format on
}

void parameters()
{
  Cleanup cleanup;
  using Producer = Mpsc::Producer;
  // clang-format off
// 1472 bytes per element (default)
// 144 elements capacity (default)
Producer producer("channel", 1472, 144);
  // clang-format on
  Producer defaults("channel");
  CHECK_EQ(producer.open(), 0);
  CHECK_EQ(defaults.open(), 0);
  CHECK(defaults.elementSize() == 1472 && defaults.capacity() == 144);
  CHECK_EQ(defaults.available(), 144);
}

void cleanup_removes_the_objects()
{
  Spsc::Producer producer("my_channel");
  Spsc::Endpoint endpoint(Spsc::Endpoint::A, "ipc_channel");
  CHECK(producer.open() == 0 && endpoint.open() == 0);
  CHECK_EQ(access("/dev/shm/my_channel", F_OK), 0);
  // clang-format off
// After all processes are done
SharedMemory::unlink("my_channel");

// For endpoints (two segments)
SharedMemory::unlink("ipc_channel_AB");
SharedMemory::unlink("ipc_channel_BA");
  // clang-format on
  for (const char *path : {"/dev/shm/my_channel", "/dev/shm/ipc_channel_AB", "/dev/shm/ipc_channel_BA"})
    CHECK_EQ(access(path, F_OK), -1);
}

} // namespace

int main()
{
  /* The page's names are common ones: a /dev/shm of the test's own, where it may make one. */
  if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, nullptr) == 0)
    mount("shm", "/dev/shm", "tmpfs", 0, "size=16m");
  for (const char *name : {"channel", "my_channel", "ipc_channel_AB", "ipc_channel_BA"})
    if (access((std::string("/dev/shm/") + name).c_str(), F_OK) == 0)
      return std::printf("skipped: /dev/shm/%s exists\n", name), 77;
  RUN(spsc_policy);
  RUN(mpsc_policy);
  RUN(mpmc_policy);
  RUN(producer_and_consumer);
  RUN(endpoints);
  RUN(parameters);
  RUN(cleanup_removes_the_objects);
  return 0;
}
