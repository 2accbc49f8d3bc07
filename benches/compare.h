/* Comparisons in alternating slices, and the table that reports them.
 *
 * The virtual cores of a shared machine wander between near and far within a second. So yardstick
 * and contender alternate in slices of some ten milliseconds, and a slice of the contender counts
 * only where the yardstick before it and the one after it agree; how many counted of how many is
 * reported. */
#ifndef BENCHES_COMPARE_H
#define BENCHES_COMPARE_H
#include "rig.h"

enum { MAX_SLICES = 1000 };
#define SLICE_NS 10e6
#define TOLERANCE 0.25 /* of the larger of two yardsticks that agree */

enum goal_kind { NO_GOAL, TIME_AT_MOST, RATE_AT_LEAST, NS_AT_MOST };

/* TIME_AT_MOST and RATE_AT_LEAST limit the ratio, NS_AT_MOST the contender's own time. */
struct goal {
  enum goal_kind kind;
  double limit;
};

struct slice {
  double yard, contender, ratio; /* ns per item; yard is the mean of the two beside it */
  bool counts;
};

static int goals_missed;

static inline int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* n > 0. */
static inline double quantile(const double *sorted, int n, double q) {
  return sorted[(int)(q * (n - 1) + 0.5)];
}

static inline uint64_t calibrate(const struct task *task) {
  uint64_t count = 1;
  for (;;) {
    double start = now_ns();
    rig_run(task, count);
    double ns = now_ns() - start;
    if (ns >= SLICE_NS / 4)
      return 1 + (uint64_t)((double)count * SLICE_NS / ns);
    count *= ns < SLICE_NS / 64 ? 8 : 2;
  }
}

/* "1.19 n=60": the median ratio of the counted slices whose yardstick is below the geometric middle
 * of all yardsticks seen (near), or not below it (far). */
static inline void ratio_of_class(char *text, size_t size, const struct slice *s, int n,
                                  double middle_squared, bool far) {
  double ratios[MAX_SLICES];
  int k = 0;
  for (int i = 0; i < n; i++)
    if (s[i].counts && far == (s[i].yard * s[i].yard >= middle_squared))
      ratios[k++] = s[i].ratio;
  qsort(ratios, (size_t)k, sizeof *ratios, ascending);
  if (k)
    snprintf(text, size, "%.2f n=%d", quantile(ratios, k, 0.5), k);
  else
    snprintf(text, size, "- n=0");
}

static inline void print_amount(char *text, size_t size, double ns, enum goal_kind kind) {
  if (kind == RATE_AT_LEAST)
    snprintf(text, size, "%.1f M/s", 1e3 / ns);
  else if (ns < 1e4)
    snprintf(text, size, "%.1f ns", ns);
  else
    snprintf(text, size, "%.1f us", ns / 1e3);
}

static inline const char *verdict(bool met) {
  goals_missed += !met;
  return met ? "met" : "MISSED";
}

static inline void table_heading(void) {
  printf("%-40s %-22s %9s  %-11s %-11s %11s %11s  %s\n", "row / yardstick", "ratio [p10 .. p90]",
         "counted", "near", "far", "yardstick", "contender", "goal");
}

static inline void table_line(const char *title, const char *ratio, const char *counted,
                              const char *near, const char *far, const char *yard,
                              const char *contender, const char *goal) {
  printf("%-40s %-22s %9s  %-11s %-11s %11s %11s  %s\n", title, ratio, counted, near, far, yard,
         contender, goal);
}

static inline void report(const char *title, const struct slice *s, int n, double min_yard,
                          double max_yard, struct goal goal) {
  double ratios[MAX_SLICES], yards[MAX_SLICES], contenders[MAX_SLICES];
  char ratio[40], counted[24], near[24] = "-", far[24] = "-", yard[24], contender[24], aim[48] = "";
  int k = 0;
  for (int i = 0; i < n; i++)
    if (s[i].counts) {
      ratios[k] = s[i].ratio;
      yards[k] = s[i].yard;
      contenders[k++] = s[i].contender;
    }
  snprintf(counted, sizeof counted, "%d/%d", k, n);
  if (!k) {
    table_line(title, "none counted", counted, near, far, "-", "-", "not judged");
    return;
  }
  qsort(ratios, (size_t)k, sizeof *ratios, ascending);
  qsort(yards, (size_t)k, sizeof *yards, ascending);
  qsort(contenders, (size_t)k, sizeof *contenders, ascending);
  double median = quantile(ratios, k, 0.5), own = quantile(contenders, k, 0.5);

  snprintf(ratio, sizeof ratio, "%.2f [%.2f .. %.2f]", median, quantile(ratios, k, 0.1),
           quantile(ratios, k, 0.9));
  print_amount(yard, sizeof yard, quantile(yards, k, 0.5), goal.kind);
  print_amount(contender, sizeof contender, own, goal.kind);
  if (max_yard > 2 * min_yard) {
    ratio_of_class(near, sizeof near, s, n, min_yard * max_yard, false);
    ratio_of_class(far, sizeof far, s, n, min_yard * max_yard, true);
  }
  if (goal.kind == TIME_AT_MOST)
    snprintf(aim, sizeof aim, "<= %.2f %s", goal.limit, verdict(median <= goal.limit));
  else if (goal.kind == RATE_AT_LEAST)
    snprintf(aim, sizeof aim, ">= %.2f %s", goal.limit, verdict(median >= goal.limit));
  else if (goal.kind == NS_AT_MOST)
    snprintf(aim, sizeof aim, "< %.0f us %s", goal.limit / 1e3, verdict(own < goal.limit));
  table_line(title, ratio, counted, near, far, yard, contender, aim);
}

/* Measures and reports one row. */
static inline void compare(const char *title, const struct task *yard, const struct task *contender,
                           struct goal goal, int slices) {
  static struct slice s[MAX_SLICES];
  uint64_t yard_count = calibrate(yard), contender_count = calibrate(contender);
  double before = rig_run(yard, yard_count), min_yard = before, max_yard = before;
  for (int i = 0; i < slices; i++) {
    s[i].contender = rig_run(contender, contender_count);
    double after = rig_run(yard, yard_count);
    double low = before < after ? before : after, high = before < after ? after : before;
    s[i].counts = high - low <= TOLERANCE * high;
    s[i].yard = (low + high) / 2;
    s[i].ratio =
        goal.kind == RATE_AT_LEAST ? s[i].yard / s[i].contender : s[i].contender / s[i].yard;
    min_yard = low < min_yard ? low : min_yard;
    max_yard = high > max_yard ? high : max_yard;
    before = after;
  }
  report(title, s, slices, min_yard, max_yard, goal);
}

#endif
