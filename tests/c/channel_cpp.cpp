/* Channels and samples in C++. */
#include "ring_check.hpp"

namespace {

shmem_conf conf(int queuelen, int samplelen)
{
  shmem_conf conf = SHMEM_CONF_INIT;
  conf.queuelen = queuelen;
  conf.samplelen = samplelen;
  return conf;
}

struct Pair : Name {
  Channel node{*this}, program{*this};

  explicit Pair(int queuelen = 8, int samplelen = 4) : Name("channel")
  {
    const shmem_conf parameters = conf(queuelen, samplelen);
    CHECK(node.create(&parameters) == 0 && program.open() == 0);
  }
  uint64_t held()
  {
    shmem_stats stats;
    CHECK(node.stats(stats) == 0);
    return stats.held;
  }
};

void a_loop_over_batches_doubles_all_until_the_node_is_gone()
{
  Pair pair(64, 4);
  std::thread program([&pair] {
    int samples = 0;
    lastError.clear();
    for (Samples &batch : pair.program.batches(16))
      for (Sample &smp : batch) {
        for (signal_data &value : smp)
          value.f *= 2;
        CHECK_EQ(pair.program.timedWrite(smp, 10s), 0);
        CHECK(!smp);
        samples++;
      }
    CHECK(lastError == std::errc::broken_pipe);
    CHECK_EQ(samples, 1000);
  });
  Samples back;
  for (unsigned number = 0; number < 1000; number++) {
    Sample smp = pair.node.alloc();
    CHECK(smp);
    smp->sequence = number;
    smp->length = 2;
    smp[0].f = number;
    smp[1].f = -0.5;
    CHECK_EQ(pair.node.write(smp), 0);
    while (pair.node.read(back) == 0) {
    }
    CHECK(back.size() == 1 && back[0]->sequence == number && back[0][0].f == 2 * number && back[0][1].f == -1);
  }
  back.clear();
  CHECK_EQ(pair.held(), 0);
  pair.node.close();
  program.join();
}

void a_sample_puts_itself()
{
  Pair pair;
  {
    Sample one = pair.node.alloc(), other = pair.node.alloc();
    one->length = 1;
    one[0].i = 7;
    Sample shared = one.share(), copy = one.clone();
    CHECK(shared.get() == one.get() && copy.get() != one.get() && copy[0].i == 7 && copy.end() - copy.begin() == 1);
    CHECK_EQ(pair.held(), 3);
    other = std::move(one);
    CHECK(!one && other && one.begin() == one.end());
    CHECK_EQ(pair.held(), 2);
    Sample raw(copy.release());
    CHECK(!copy && (*raw).length == 1);
    CHECK_EQ(pair.held(), 2);
  }
  CHECK_EQ(pair.held(), 0);
  Sample empty;
  CHECK(!empty.share() && lastError == Errc::InvalidParam);
  CHECK(!empty.clone() && lastError == Errc::InvalidParam);
  FAILS(pair.node.write(empty), EINVAL);
  Sample kept = pair.node.alloc();
  pair.node.close();
}

void what_is_not_taken_stays_here()
{
  Pair pair(2);
  Samples batch;
  for (int i = 0; i < 3; i++) {
    batch.push_back(pair.node.alloc());
    batch.back()->sequence = static_cast<uint64_t>(i);
  }
  lastError.clear();
  CHECK(pair.node.write(batch) == 2 && lastError == Errc::TemporaryError);
  CHECK(!batch[0] && !batch[1] && batch[2]);
  FAILS(pair.node.write(batch[2]), EAGAIN);
  FAILS(pair.node.timedWrite(batch[2], 2ms), ETIMEDOUT);
  CHECK(batch[2]);
  Samples in;
  CHECK(pair.program.tryRead(in, 1) == 1 && in[0]->sequence == 0);
  CHECK(pair.program.timedRead(in, 5, 1s) == 1 && in.size() == 1 && in[0]->sequence == 1);
  lastError.clear();
  CHECK(pair.program.tryRead(in) == 0 && in.empty() && lastError == Errc::TemporaryError);
  CHECK(pair.program.timedRead(in, 5, 1ms) == 0 && lastError == Errc::TimedOut);
}

void more_samples_than_pass_at_once_are_written_at_once()
{
  Pair pair(600, 1);
  Samples batch, in;
  for (int i = 0; i < 600; i++) {
    batch.push_back(pair.node.alloc());
    batch.back()->sequence = static_cast<uint64_t>(i);
  }
  CHECK_EQ(pair.node.write(batch), 600);
  uint64_t next = 0;
  for (const int expected : {256, 256, 88}) {
    CHECK_EQ(pair.program.read(in, 1000), expected);
    for (const Sample &smp : in)
      CHECK_EQ(smp->sequence, next++);
  }
}

void an_exhausted_pool_gives_no_sample()
{
  Pair pair;
  Samples all;
  lastError.clear();
  while (Sample smp = pair.node.alloc())
    all.push_back(std::move(smp));
  CHECK(lastError == Errc::TemporaryError && all.size() == 8 + 64);
}

void a_closed_channel_does_nothing()
{
  const Name name("none");
  Channel channel(name);
  Sample smp;
  Samples samples(1);
  shmem_stats stats;
  FAILS(channel.write(smp), EPIPE);
  FAILS(channel.timedWrite(smp, 1s), EPIPE);
  FAILS(channel.write(samples), EPIPE);
  FAILS(channel.read(samples), EPIPE);
  FAILS(channel.tryRead(samples), EPIPE);
  FAILS(channel.timedRead(samples, 1, 1s), EPIPE);
  FAILS(channel.wait(1s), EPIPE);
  FAILS(channel.interrupt(), EPIPE);
  FAILS(channel.fd(), EPIPE);
  FAILS(channel.stats(stats), EPIPE);
  CHECK(!channel.alloc() && !channel.peerAlive() && !channel.opened());
  for (Samples &batch : channel.batches())
    CHECK(batch.empty() && !"a closed channel has no batch");
  FAILS(channel.open(), ENOENT);
  FAILS(channel.timedOpen(2ms), ETIMEDOUT);
  CHECK_EQ(channel.create(), 0);
  FAILS(channel.create(), EALREADY);
  FAILS(channel.wait(2ms), ETIMEDOUT);
  Channel rival(name), moved(std::move(channel));
  FAILS(rival.create(), EBUSY);
  CHECK(moved.opened() && moved.name() == name && !channel.opened());
  CHECK(rival.timedOpen(1s) == 0 && moved.wait(1s) == 0 && moved.peerAlive());
  CHECK(Channel::unlink(name) == 0 && Channel::unlink(name) == 0);
}

void an_empty_batch_lets_a_loop_look_around()
{
  Pair pair;
  int batches = 0;
  for (Samples &batch : pair.program.batches()) {
    CHECK(batch.empty());
    if (++batches == 2)
      break;
  }
  std::thread other([&] { pair.program.close(); });
  lastError.clear();
  for (Samples &batch : pair.program.batches())
    CHECK(batch.empty());
  CHECK(lastError == std::errc::broken_pipe);
  other.join();
}

void a_region_without_a_name_is_opened_by_its_descriptor()
{
  Channel node, program, next;
  int fd = -1;
  CHECK_EQ(node.createFd(fd), 0);
  FAILS(node.createFd(fd), EALREADY);
  CHECK_EQ(program.openFd(fd), 0);
  FAILS(next.openFd(fd), EBUSY);
  FAILS(next.recreateFd(fd), EBUSY);
  Sample smp = node.alloc();
  smp->length = 1;
  smp[0].f = 4.5;
  CHECK_EQ(node.write(smp), 0);
  node.close();
  CHECK_EQ(next.recreateFd(fd), 0);
  CHECK_EQ(::close(fd), 0);
  Samples samples;
  CHECK_EQ(program.read(samples), 1);
  CHECK(samples[0][0].f == 4.5);
  FAILS(Channel().openFd(-1), EBADF);
}

void signals_are_seen_found_and_compared()
{
  const shmem_signal written[] = {{"u_a", "V", SHMEM_SIGNAL_FLOAT}, {"Größe", nullptr, SHMEM_SIGNAL_COMPLEX}};
  Pair pair;
  Channel node{pair}, program{pair};
  pair.node.close();
  pair.program.close();
  shmem_conf parameters = conf(8, 4);
  parameters.out_signals = written;
  parameters.out_count = 2;
  CHECK(node.create(&parameters) == 0 && program.open() == 0);
  const SignalRange read = program.signals(Direction::In);
  CHECK(read.size() == 2 && !read.empty() && read[0].name() == "u_a" && read[0].unit() == "V");
  std::string all;
  for (const Signal signal : read)
    all.append(signal.name()).append(signal.unit()).append(std::to_string(static_cast<int>(signal.type()))) += ' ';
  CHECK(all == "u_aV1 Größe4 ");
  CHECK(read[1].type() == SignalType::Complex);
  CHECK(program.signals(Direction::Out).empty() && node.signals(Direction::Out).size() == 2);
  CHECK_EQ(program.signalIndex(Direction::In, "Größe"), 1);
  FAILS(program.signalIndex(Direction::In, "u_b"), ENOENT);
  CHECK_EQ(program.expectSignals(Direction::In, written), 0);
  const std::vector<shmem_signal> one(written, written + 1);
  FAILS(program.expectSignals(Direction::In, one), EPROTO);
  FAILS(program.expectSignals(Direction::Out, written), EPROTO);
  program.close();
  lastError.clear();
  CHECK(program.signals(Direction::In).empty() && lastError.value() == EPIPE);
  FAILS(program.signalIndex(Direction::In, "u_a"), EPIPE);
}

void a_descriptor_is_readable_while_a_call_would_not_wait()
{
  Pair pair(1);
  Samples samples;
  const int messages = pair.program.fd(), room = pair.node.fd(SHMEM_FD_WRITE);
  CHECK(messages >= 0 && room >= 0 && messages != room);
  CHECK(pair.program.fd(SHMEM_FD_READ) == messages && pair.program.fd(SHMEM_FD_WRITE) != messages);
  FAILS(pair.program.fd(0), EINVAL);
  for (int i = 0; i < 10; i++) {
    Sample first = pair.node.alloc(), second = pair.node.alloc();
    rests(messages, [&] { pair.program.tryRead(samples); });
    CHECK_EQ(pair.node.write(first), 0);
    CHECK(readable(messages));
    rests(room, [&] { pair.node.write(second); });
    CHECK_EQ(pair.program.tryRead(samples), 1);
    CHECK(readable(room));
  }
  pair.node.close();
  CHECK(readable(messages));
  FAILS(pair.program.tryRead(samples), EPIPE);
  CHECK(readable(messages));
}

} // namespace

int main()
{
  RUN(a_loop_over_batches_doubles_all_until_the_node_is_gone);
  RUN(a_sample_puts_itself);
  RUN(what_is_not_taken_stays_here);
  RUN(more_samples_than_pass_at_once_are_written_at_once);
  RUN(an_exhausted_pool_gives_no_sample);
  RUN(a_closed_channel_does_nothing);
  RUN(an_empty_batch_lets_a_loop_look_around);
  RUN(a_region_without_a_name_is_opened_by_its_descriptor);
  RUN(signals_are_seen_found_and_compared);
  RUN(a_descriptor_is_readable_while_a_call_would_not_wait);
  return 0;
}
