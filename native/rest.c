/*
 * A process that rests: the memory that it has alone goes into a file, and comes back from there page by page.
 *
 * The template of workers sleeps until a worker dies, which may be never, and has some twelve megabytes that no other
 * process shares.  The kernel would take them only where there is swap.  So they are written to a file, and the file is
 * mapped in their place: what is not touched again takes no memory, what is read comes from the kernel's cache of the
 * file, what is written to is memory again as before.  A copy of the process inherits all that.
 *
 * What does this may not change what it is about: between writing a run of pages and mapping it nothing here writes
 * anywhere but to the stack, and no signal comes in.  The process must have one thread.  Where the kernel refuses in
 * the middle, after it took the pages, they are put back from the file.
 *
 * There is no twin: without this part nothing rests.
 */
#define _GNU_SOURCE
#include "module.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Of each page the kernel tells 64 bits: Documentation/admin-guide/mm/pagemap.rst. */
#define PRESENT (UINT64_C(1) << 63)
#define OF_FILE (UINT64_C(1) << 61)
#define OURS_ALONE (UINT64_C(1) << 56)

/*
 * Each run of pages is a mapping of its own, of which a process may have 65,530 (vm.max_map_count).  A page between two
 * runs that others share goes with them: it is cheaper than a mapping more.
 */
enum { MOST_RANGES = 512, AT_ONCE = 512, MOST_RUNS = 8192, GAP = 1 };
/* What lives in memory counts as memory, in whatever file. */
enum { OF_MEMORY = 0x01021994, OF_EARLY_MEMORY = (int)0x858458f6 };

typedef struct {
    uintptr_t start;
    size_t octets;
} Range;

typedef struct {
    int file, told;
    off_t end;
    size_t page, moved;
    int runs, error;
} Rest;

static int write_all(int file, uintptr_t start, size_t octets, off_t at)
{
    while (octets) {
        ssize_t done = pwrite(file, (const void *)start, octets, at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return done ? errno : ENOSPC;
        start += done, at += done, octets -= done;
    }
    return 0;
}

/* The kernel took the pages and mapped nothing: they are as they were, or this process can no longer go on. */
static void put_back(Rest *rest, uintptr_t start, size_t octets)
{
    int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    if (mmap((void *)start, octets, PROT_READ | PROT_WRITE, how, -1, 0) == MAP_FAILED) _exit(EXIT_FAILURE);
    for (off_t at = rest->end; octets;) {
        ssize_t done = pread(rest->file, (void *)start, octets, at);
        if (done <= 0) _exit(EXIT_FAILURE);
        start += done, at += done, octets -= done;
    }
}

/* Move one run of pages; false where no more can be. */
static int move(Rest *rest, uintptr_t start, size_t octets)
{
    if (rest->runs >= MOST_RUNS) return 0;
    rest->error = write_all(rest->file, start, octets, rest->end);
    if (rest->error) return 0;
    int how = MAP_PRIVATE | MAP_FIXED;
    if (mmap((void *)start, octets, PROT_READ | PROT_WRITE, how, rest->file, rest->end) == MAP_FAILED) {
        rest->error = errno;
        put_back(rest, start, octets);
        return 0;
    }
    rest->end += octets, rest->moved += octets, rest->runs++;
    return 1;
}

/* Move the runs of pages of one range that this process has alone; false where no more can be. */
static int move_range(Rest *rest, Range range)
{
    uint64_t told[AT_ONCE];
    uintptr_t start = 0, end = 0; /* the run so far: it ends behind the last page that is ours */
    size_t pages = range.octets / rest->page;
    for (size_t from = 0; from < pages; from += AT_ONCE) {
        size_t many = pages - from < AT_ONCE ? pages - from : AT_ONCE;
        off_t at = (off_t)((range.start / rest->page + from) * sizeof *told);
        if (pread(rest->told, told, many * sizeof *told, at) != (ssize_t)(many * sizeof *told)) return 0;
        for (size_t i = 0; i < many; i++) {
            if ((told[i] & (PRESENT | OF_FILE | OURS_ALONE)) != (PRESENT | OURS_ALONE)) continue;
            uintptr_t page = range.start + (from + i) * rest->page;
            if (start && page - end > GAP * rest->page) {
                if (!move(rest, start, end - start)) return 0;
                start = 0;
            }
            if (!start) start = page;
            end = page + rest->page;
        }
    }
    return !start || move(rest, start, end - start);
}

static int is_in_memory(int file)
{
    struct statfs system;
    return fstatfs(file, &system) || (int)system.f_type == OF_MEMORY || (int)system.f_type == OF_EARLY_MEMORY;
}

static int take_ranges(PyObject *given, Range *ranges)
{
    PyObject *sequence = PySequence_Fast(given, "ranges are a sequence");
    if (!sequence) return -1;
    Py_ssize_t many = PySequence_Fast_GET_SIZE(sequence);
    if (many > MOST_RANGES) many = MOST_RANGES;
    for (Py_ssize_t i = 0; i < many; i++) {
        unsigned long long start, octets;
        if (!PyArg_ParseTuple(PySequence_Fast_GET_ITEM(sequence, i), "KK", &start, &octets)) {
            many = -1;
            break;
        }
        ranges[i] = (Range){(uintptr_t)start, (size_t)octets};
    }
    Py_DECREF(sequence);
    return (int)many;
}

static PyObject *rest(PyObject *module, PyObject *args)
{
    Range ranges[MOST_RANGES];
    PyObject *given;
    Rest rest = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    struct stat status;
    if (!PyArg_ParseTuple(args, "iO", &rest.file, &given)) return NULL;
    int many = take_ranges(given, ranges);
    if (many < 0) return NULL;
    if (fstat(rest.file, &status)) return PyErr_SetFromErrno(PyExc_OSError);
    if (is_in_memory(rest.file)) return PyLong_FromLong(0);
    rest.end = (status.st_size + (off_t)rest.page - 1) / (off_t)rest.page * (off_t)rest.page;
    rest.told = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (rest.told < 0) return PyErr_SetFromErrno(PyExc_OSError);
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    for (int i = 0; i < many && move_range(&rest, ranges[i]); i++);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(rest.told);
    if (!rest.error) return PyLong_FromSize_t(rest.moved);
    errno = rest.error;
    return PyErr_SetFromErrno(PyExc_OSError);
}

static PyMethodDef functions[] = {
    {"rest", rest, METH_VARARGS,
     "rest(file, ranges)\n\nPut the pages of these ranges of memory, (start, octets), that this process has alone into a "
     "file, a descriptor to read and write, and have them from there; gives how many octets.\n\n"
     "Nothing is moved where the file is in memory itself.  Raises OSError where something could not be moved: all is "
     "there as it was.  To be called where there is one thread."},
    {NULL, NULL, 0, NULL},
};

PART(rest, "A process that rests.", nothing_more)
