/* What the tests of regions without a name share: descriptors that go from process to process. */
#ifndef CHECK_DESCRIPTOR_H
#define CHECK_DESCRIPTOR_H

#include "check.h"

#include <sys/socket.h>
#include <sys/uio.h>

UNUSED static void check_sockets(int ends[2])
{
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

/* Sends a descriptor over a Unix socket, which keeps a copy until it is received. */
UNUSED static void check_give_fd(int socket, int fd)
{
  char byte = 0;
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct iovec payload = {&byte, 1};
  struct msghdr message = {.msg_iov = &payload, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);

  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  CHECK_EQ(sendmsg(socket, &message, 0), 1);
}

UNUSED static int check_take_fd(int socket)
{
  char byte;
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec payload = {&byte, 1};
  struct msghdr message = {.msg_iov = &payload, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  int fd = -1;

  CHECK_EQ(recvmsg(socket, &message, MSG_CMSG_CLOEXEC), 1);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  CHECK(header && header->cmsg_type == SCM_RIGHTS);
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

#endif
