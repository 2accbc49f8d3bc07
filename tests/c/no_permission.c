/* EACCES: an object of another user is refused, unless the caller says that it may be. */
#include "check.h"

#include <grp.h>

enum { NOBODY = 65534 };

struct attempt {
  const char *name;
  bool any_owner;
  int expected; /* errno, 0: the open succeeds */
};

static void become_nobody(void)
{
  CHECK_EQ(setgroups(0, NULL), 0);
  CHECK_EQ(setresgid(NOBODY, NOBODY, NOBODY), 0);
  CHECK_EQ(setresuid(NOBODY, NOBODY, NOBODY), 0);
}

static void try_to_open(void *arg)
{
  const struct attempt *attempt = arg;
  struct shmem_shared *shm;
  void *base;

  become_nobody();
  if (attempt->any_owner)
    CHECK_EQ(setenv("SHMEM_ANY_OWNER", "1", 1), 0);
  if (attempt->expected) {
    CHECK_REFUSED(shmem_shared_open(attempt->name, &base), attempt->expected);
    return;
  }
  CHECK_HANDLE(shm = shmem_shared_open(attempt->name, &base));
  check_receive(shm, 1, 1);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
}

static void open_as_nobody(const char *name, bool any_owner, int expected)
{
  struct attempt attempt = {name, any_owner, expected};
  pid_t pid = check_spawn(try_to_open, &attempt);
  CHECK_CHILD_ENDS_WELL(pid, 10);
}

static struct shmem_shared *create_with_mode(const char *name, unsigned int mode)
{
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_shared *shm;
  struct stat file;

  conf.permissions = mode;
  CHECK_HANDLE(shm = shmem_shared_create(name, &conf));
  CHECK_EQ(stat(check_path(name), &file), 0);
  CHECK_EQ(file.st_mode & 07777, mode);
  check_send(shm, 1, 1);
  return shm;
}

static void a_region_of_another_user_needs_its_permission_and_our_consent(void)
{
  const char *closed = check_name("mode-0600"), *shared = check_name("mode-0666");
  struct shmem_shared *one = create_with_mode(closed, 0600), *two = create_with_mode(shared, 0666);

  open_as_nobody(closed, false, EACCES);
  open_as_nobody(closed, true, EACCES);
  open_as_nobody(shared, false, EACCES);
  open_as_nobody(shared, true, 0);

  CHECK_EQ(shmem_shared_close(one, NULL), 0);
  CHECK_EQ(shmem_shared_close(two, NULL), 0);
}

static void create_as_nobody(void *arg)
{
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_shared *shm;

  become_nobody();
  CHECK_HANDLE(shm = shmem_shared_create(arg, &conf));
  check_send(shm, 1, 1);
  _exit(0); /* as if it had died */
}

static void even_root_trusts_no_object_of_another_user(void)
{
  char *name = strdup(check_name("nobodys"));
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_shared *shm;
  void *base;

  CHECK_CHILD_ENDS_WELL(check_spawn(create_as_nobody, name), 10);
  CHECK_REFUSED(shmem_shared_open(name, &base), EACCES);
  CHECK_REFUSED(shmem_shared_create(name, &conf), EACCES);

  CHECK_EQ(setenv("SHMEM_ANY_OWNER", "1", 1), 0);
  CHECK_HANDLE(shm = shmem_shared_open(name, &base));
  check_receive(shm, 1, 1);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
  CHECK_EQ(unsetenv("SHMEM_ANY_OWNER"), 0);

  CHECK_REFUSED(shmem_shared_create(name, &conf), EACCES);
  conf.flags = SHMEM_CONF_ANY_OWNER;
  CHECK_HANDLE(shm = shmem_shared_create(name, &conf));
  check_send(shm, 1, 1);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(name), 0);
  free(name);
}

static void unlink_as_nobody(void *arg)
{
  become_nobody();
  errno = 0;
  CHECK_EQ(shmem_shared_unlink(arg), -1);
  CHECK(errno == EACCES || errno == EPERM); /* as the system says: /dev/shm is sticky */
}

static void the_name_of_another_user_cannot_be_removed(void)
{
  char *name = strdup(check_name("sticky"));
  struct shmem_shared *shm = create_with_mode(name, 0600);

  CHECK_CHILD_ENDS_WELL(check_spawn(unlink_as_nobody, name), 10);
  CHECK_EQ(access(check_path(name), F_OK), 0);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
  free(name);
}

static void the_umask_takes_permissions_away(void)
{
  const char *name = check_name("umask");
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_shared *shm;
  struct stat file;

  conf.permissions = 0666;
  mode_t before = umask(027);
  CHECK_HANDLE(shm = shmem_shared_create(name, &conf));
  umask(before);
  CHECK_EQ(stat(check_path(name), &file), 0);
  CHECK_EQ(file.st_mode & 07777, 0640);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
}

int main(void)
{
  check_begin();
  if (geteuid() != 0)
    check_skip("another user is needed: run it as root");
  umask(0);
  RUN(a_region_of_another_user_needs_its_permission_and_our_consent);
  RUN(even_root_trusts_no_object_of_another_user);
  RUN(the_umask_takes_permissions_away);
  RUN(the_name_of_another_user_cannot_be_removed);
  return 0;
}
