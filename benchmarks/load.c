/*
 * Load for a forward proxy: one thread, one epoll, loopback only, bounded in connections and in time.
 *
 *   load proxy=127.0.0.1:3128 [key=value ...]
 *
 *   act=get|tunnel   a GET in absolute form, or CONNECT, the first octets of TLS, their answer, close
 *   conns=64         connections at a time
 *   busy=64          of these, how many wait for an answer at a time; 0: all
 *   close=1          a new connection for each request
 *   hold=1           one exchange on each connection, which then stays open until standard input ends
 *   rate=5000        exchanges a second at even distances, timed from when they were due; 0: as fast as they go
 *   hosts=16         h00.bench.test, h01 ... in turn
 *   port=80          of the origin, as it stands in the target
 *   path=/s200       of the target of a GET
 *   answer=200       octets that a tunnel asks for
 *   users=FILE       name:password on each line; connection i signs in as line i, in turn
 *   limit=100000     begin so many exchanges, let all of them end, and end then; 0: no limit but the time
 *   secs=3 warm=1    counted seconds, and seconds before them; warm_turns=1: go through all hosts before, too
 *   timeout=30       seconds that an exchange may take
 *
 * Prints {"counting": 1} when the warm-up is over ({"held": n} with hold=1) and the figures at the end, both
 * as JSON lines.  Ends early when standard input ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "asking.h"

enum { MAX_CONNECTIONS = 20000, MAX_SECONDS = 600, MAX_HOSTS = 100000, HEAD = 16384 };
enum { OPENING_AT_ONCE = 64, GIVE_UP_ERRORS = 20000, SOURCES = 8 };

/* What a connection waits for. */
enum state { CLOSED, CONNECTING, FREE, ANSWER_HEAD, LENGTH, CHUNKS, TO_END, CONNECT_HEAD, TUNNEL, HELD };
enum { ERR_CONNECT, ERR_CUT, ERR_STATUS, ERR_HEAD, ERR_TIMEOUT, ERR_KINDS };
static const char *error_names[] = {"connect", "cut", "status", "head", "timeout"};

struct connection {
    int fd, number;
    enum state state;
    unsigned reused : 1, ends : 1, begun : 1;   /* begun: counted in `opening` */
    int host, status;
    int64_t left;               /* octets of the answer still to come */
    double due, retry_at;       /* when the exchange was due; when to connect again */
    char *head;                 /* a head that came in pieces */
    int head_octets;
    char tail[5];               /* the last octets of a chunked body */
};

static struct sockaddr_in proxy = {.sin_family = AF_INET};
static int conns = 64, busy, hold, hosts = 16, warm_turns;
static double rate, secs = 3, warm = 1, timeout = 30;

static struct connection *all;
static int epoll, timer = -1;
static uint64_t turn, sent_turns, limit;
static char scratch[1 << 18];

static struct {
    uint64_t count, refused, octets, sent, stale, opened, errors[ERR_KINDS];
    double began, last, longest_gap, longest;
} seen;
static uint32_t micros[200000], millis[700000];     /* how many answers took so long */
static int held, opening, in_flight;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* ---- connections ---- */

static void arm(struct connection *c, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, how, c->fd, &event)) die("epoll: %s", strerror(errno));
}

static void leave(struct connection *c) {
    if (c->fd >= 0) close(c->fd);
    if (c->state == HELD) held--;
    c->fd = -1;
    c->state = CLOSED;
    c->head_octets = 0;
    c->reused = c->begun = 0;
}

static void failed(struct connection *c, int kind) {
    if (c->begun) opening--;
    in_flight--;
    leave(c);
    seen.errors[kind]++;
    c->retry_at = now() + 0.02;
}

static void reach(struct connection *c) {
    static int source;
    struct sockaddr_in from = {.sin_family = AF_INET};
    int yes = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    /* Several source addresses: one alone has too few ports for thousands of new connections a second. */
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + source++ % SOURCES);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) die("bind: %s", strerror(errno));
    seen.opened++;
    c->state = CONNECTING;
    if (connect(c->fd, (struct sockaddr *)&proxy, sizeof proxy) && errno != EINPROGRESS) {
        failed(c, ERR_CONNECT);
        return;
    }
    arm(c, EPOLLOUT, EPOLL_CTL_ADD);
}

static int put(struct connection *c, const char *octets, int many) {
    if (send(c->fd, octets, many, MSG_NOSIGNAL) == many) {
        seen.sent += many;
        return 1;
    }
    failed(c, ERR_CUT);
    return 0;
}

static void ask(struct connection *c) {
    char text[2048];
    int octets = request(text, c->number, c->host);
    c->state = *act == 't' ? CONNECT_HEAD : ANSWER_HEAD;
    c->head_octets = 0;
    put(c, text, octets);
}

/* Begin the next exchange on a connection that is free or closed. */
static void begin(struct connection *c, double due) {
    c->host = (int)(turn++ % hosts);
    c->due = due;
    sent_turns++;
    in_flight++;
    if (c->state == FREE) ask(c);
    else reach(c);
}

/* The next connection in turn that may begin an exchange, or NULL. */
static struct connection *next_free(double at) {
    static int look;
    for (int tries = 0; tries < conns; tries++) {
        struct connection *c = &all[look++ % conns];
        if (look >= conns) look = 0;
        if ((c->state == FREE || c->state == CLOSED) && c->retry_at <= at) return c;
    }
    return NULL;
}

/* As fast as they go: as many exchanges as may wait at a time. */
static void fill(double at) {
    struct connection *c;
    while (in_flight < busy && (!limit || turn < limit) && (c = next_free(at))) begin(c, at);
}

static void count(struct connection *c) {
    double at = now(), took = at - c->due;
    if (took < 0) took = 0;
    if (c->status == 403) seen.refused++;
    else seen.count++;
    if (took * 1e6 < 200000) micros[(int)(took * 1e6)]++;
    else millis[took < 699 ? (int)(took * 1e3) : 699999]++;
    if (took > seen.longest) seen.longest = took;
    if (at - seen.last > seen.longest_gap) seen.longest_gap = at - seen.last;
    seen.last = at;
}

static void finished(struct connection *c) {
    count(c);
    in_flight--;
    if (hold) {
        held++;
        opening--;
        c->begun = 0;
        c->state = HELD;
        return;
    }
    if (close_each || c->ends || *act == 't') leave(c);
    else c->state = FREE, c->reused = 1;
    if (!rate) fill(now());
}

/* ---- what is received ---- */

static const char *field(const char *head, const char *name) {
    size_t octets = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, octets) && line[2 + octets] == ':') {
            line += 3 + octets;
            return line + strspn(line, " \t");
        }
    return NULL;
}

/* Read a head that is whole; what the state becomes says how the content ends. */
static int understand(struct connection *c, const char *head) {
    const char *value;
    if (strncmp(head, "HTTP/1.", 7) || head[8] != ' ') return 0;
    c->status = atoi(head + 9);
    value = field(head, "connection");
    if (!value) value = field(head, "proxy-connection");
    c->ends = head[7] == '0' ? !value || strncasecmp(value, "keep-alive", 10) : value && !strncasecmp(value, "close", 5);
    if (c->state == CONNECT_HEAD && c->status == 200) {
        c->state = TUNNEL;
        c->left = answer;
    } else if ((value = field(head, "transfer-encoding"))) {
        c->state = CHUNKS;
        memset(c->tail, 0, sizeof c->tail);
    } else if ((value = field(head, "content-length"))) {
        c->state = LENGTH;
        c->left = atoll(value);
    } else {
        c->state = TO_END;
        c->ends = 1;
    }
    return 1;
}

static void whole(struct connection *c) {
    if (c->status == 200 || c->status == 403) {
        if (*act == 't' && c->status == 403) c->ends = 1;
        finished(c);
    } else
        failed(c, ERR_STATUS);
}

/* The octets of a head, with those that came before; gives how many of these belong to it, or -1. */
static int take_head(struct connection *c, const char *octets, int many) {
    char *end;
    if (!c->head && !(c->head = malloc(HEAD + 1))) die("no memory");
    int before = c->head_octets, taken = many < HEAD - before ? many : HEAD - before;
    memcpy(c->head + before, octets, taken);
    c->head[before + taken] = 0;
    end = strstr(c->head, "\r\n\r\n");
    if (!end) {
        c->head_octets += taken;
        if (c->head_octets < HEAD) return many;
        failed(c, ERR_HEAD);
        return -1;
    }
    end[2] = 0;
    taken = (int)(end + 4 - c->head) - before;
    c->head_octets = 0;
    if (understand(c, c->head)) {
        if (c->state == TUNNEL) {
            char hello[HELLO];
            return put(c, hello, client_hello(hello, c->host)) ? taken : -1;
        }
        return taken;
    }
    failed(c, ERR_HEAD);
    return -1;
}

static void chunk_end(struct connection *c, const char *octets, int many) {
    char last[10];
    int kept = many < 5 ? many : 5;
    memcpy(last, c->tail, 5);
    memcpy(last + 5, octets + many - kept, kept);
    memcpy(c->tail, last + kept, 5);
}

static void receive(struct connection *c) {
    for (;;) {
        /* Long content is counted and thrown away in the kernel: this is no measurement of the load. */
        int discard = (c->state == LENGTH || c->state == TUNNEL) && c->left > (int64_t)sizeof scratch;
        ssize_t many = recv(c->fd, scratch, discard ? (size_t)1 << 22 : sizeof scratch, discard ? MSG_TRUNC : 0);
        if (many < 0 && errno == EAGAIN) return;
        if (many <= 0) {
            if (c->state == TO_END && !many) {
                whole(c);
            } else if (c->state == FREE || c->state == HELD) {
                leave(c);
            } else if (c->reused && c->state == ANSWER_HEAD && !c->head_octets) {
                leave(c);           /* the proxy closed a kept connection just then: ask again on a new one */
                seen.stale++;
                reach(c);
            } else
                failed(c, ERR_CUT);
            return;
        }
        seen.octets += many;
        char *octets = scratch;
        while (c->state == ANSWER_HEAD || c->state == CONNECT_HEAD) {
            int taken = take_head(c, octets, (int)many);
            if (taken < 0) return;
            octets += taken;
            many -= taken;
            if (!many) break;
        }
        if (c->state == LENGTH || c->state == TUNNEL) {
            c->left -= many;
            if (c->left <= 0 && (c->state == TUNNEL ? many : 1)) {
                whole(c);
                return;
            }
        } else if (c->state == CHUNKS && many) {
            chunk_end(c, octets, (int)many);
            if (!memcmp(c->tail, "0\r\n\r\n", 5)) {
                whole(c);
                return;
            }
        }
    }
}

static void happened(struct connection *c, uint32_t events) {
    if (c->state == CONNECTING) {
        int fault = 0;
        socklen_t size = sizeof fault;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &fault, &size);
        if (fault) {
            failed(c, ERR_CONNECT);
            return;
        }
        arm(c, EPOLLIN, EPOLL_CTL_MOD);
        ask(c);
    } else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && c->fd >= 0)
        receive(c);
}

/* ---- the run ---- */

/* Exchanges that are due, on connections that are free; those that find none wait, and were due all the same. */
static void pace(double at, double *next) {
    struct connection *c;
    for (; *next <= at && (c = next_free(at)); *next += 1 / rate) begin(c, *next);
    struct itimerspec when = {0};
    double wait = *next > at ? *next - at : 0.0002;
    when.it_value.tv_sec = (time_t)wait;
    when.it_value.tv_nsec = (long)((wait - (time_t)wait) * 1e9) + 1;
    timerfd_settime(timer, 0, &when, NULL);
}

static void look_around(double at) {
    for (int i = 0; i < conns; i++) {
        struct connection *c = &all[i];
        if (c->state != CLOSED && c->state != FREE && c->state != HELD && at - c->due > timeout)
            failed(c, ERR_TIMEOUT);
    }
    if (!hold && !rate) fill(at);
}

static void open_more(double at) {
    static int first;
    while (first < conns && opening < OPENING_AT_ONCE) {
        struct connection *c = &all[first++];
        c->begun = 1;
        opening++;
        begin(c, at);
    }
}

static double percentile(double share) {
    uint64_t total = seen.count + seen.refused, sum = 0, wanted = (uint64_t)(share * total);
    for (int i = 0; i < 200000; i++)
        if ((sum += micros[i]) > wanted) return i * 1e-3;
    for (int i = 0; i < 700000; i++)
        if ((sum += millis[i]) > wanted) return i;
    return 0;
}

static double own_cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static void report(double began, double ended, double cpu) {
    printf("{\"count\": %lu, \"refused\": %lu, \"seconds\": %.6f, \"octets\": %lu, \"sent\": %lu, \"opened\": %lu, \"stale\": %lu, ",
        seen.count, seen.refused, ended - began, seen.octets, seen.sent, seen.opened, seen.stale);
    printf("\"p50_ms\": %.3f, \"p90_ms\": %.3f, \"p99_ms\": %.3f, \"longest_ms\": %.3f, \"gap_ms\": %.3f, ",
        percentile(0.5), percentile(0.9), percentile(0.99), seen.longest * 1e3, seen.longest_gap * 1e3);
    printf("\"cpu_seconds\": %.3f, \"errors\": {", own_cpu() - cpu);
    for (int i = 0; i < ERR_KINDS; i++) printf("%s\"%s\": %lu", i ? ", " : "", error_names[i], seen.errors[i]);
    puts("}}");
}

static void option(char *word) {
    char *value = strchr(word, '=');
    if (!value) die("not key=value: %s", word);
    *value++ = 0;
    struct { const char *name; int *number; } numbers[] = {{"conns", &conns}, {"busy", &busy}, {"close", &close_each}, {"hold", &hold},
        {"hosts", &hosts}, {"port", &port}, {"warm_turns", &warm_turns}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(word, numbers[i].name)) {
            *numbers[i].number = atoi(value);
            return;
        }
    if (!strcmp(word, "act")) act = value;
    else if (!strcmp(word, "path")) path = value;
    else if (!strcmp(word, "users")) users_file = value;
    else if (!strcmp(word, "answer")) answer = atoll(value);
    else if (!strcmp(word, "rate")) rate = atof(value);
    else if (!strcmp(word, "limit")) limit = strtoull(value, NULL, 10);
    else if (!strcmp(word, "secs")) secs = atof(value);
    else if (!strcmp(word, "warm")) warm = atof(value);
    else if (!strcmp(word, "timeout")) timeout = atof(value);
    else if (!strcmp(word, "proxy")) {
        char *colon = strchr(value, ':');
        if (!colon) die("proxy wants address:port");
        *colon = 0;
        proxy.sin_port = htons((uint16_t)atoi(colon + 1));
        if (!inet_pton(AF_INET, value, &proxy.sin_addr)) die("not an IPv4 address: %s", value);
    } else
        die("no such key: %s", word);
}

static void checked_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) option(argv[i]);
    if (ntohl(proxy.sin_addr.s_addr) >> 24 != 127) die("only loopback (127.0.0.0/8) is ever connected to");
    if (strcmp(act, "get") && strcmp(act, "tunnel")) die("act is get or tunnel, not %s", act);
    if (conns < 1 || conns > MAX_CONNECTIONS) die("conns must be 1 to %d", MAX_CONNECTIONS);
    if (busy < 1 || busy > conns) busy = conns;
    if (hosts < 1 || hosts > MAX_HOSTS) die("hosts must be 1 to %d", MAX_HOSTS);
    if (!(secs > 0) || !(warm >= 0) || secs + warm > MAX_SECONDS) die("secs and warm must be 0 to %d", MAX_SECONDS);
    if (limit && (hold || rate || warm > 0)) die("limit goes with neither hold, rate nor warm");
    if (answer < 1 || rate < 0 || rate > 1e6 || !(timeout > 0)) die("answer, rate or timeout out of range");
    if (strlen(path) > 256) die("path is too long");
    if (users_file) read_users();
}

static int loop(void) {
    struct epoll_event events[512];
    double started = now(), began = 0, next = started, look = 0, cpu = 0;
    int asked_to_end = 0, told = 0;
    while (!asked_to_end) {
        double at = now();
        uint64_t errors = 0;
        for (int i = 0; i < ERR_KINDS; i++) errors += seen.errors[i];
        if (errors > GIVE_UP_ERRORS) break;
        if (!began && !hold && at - started >= warm && (!warm_turns || sent_turns >= (uint64_t)hosts * warm_turns)) {
            memset(&seen, 0, sizeof seen);
            memset(micros, 0, sizeof micros);
            memset(millis, 0, sizeof millis);
            puts("{\"counting\": 1}");
            seen.last = began = now();
            cpu = own_cpu();
        }
        if (began && at - began >= secs) break;
        if (limit && turn >= limit && !in_flight) break;
        if (at - started > MAX_SECONDS) break;
        if (hold) open_more(at);
        if (hold && !opening && !told) {
            told = 1;
            printf("{\"held\": %d}\n", held);
        }
        if (rate) pace(at, &next);
        if (at - look > 0.02) look_around(look = at);
        int many = epoll_wait(epoll, events, 512, 20);
        for (int i = 0; i < many; i++) {
            uint64_t expired;
            if (events[i].data.ptr == &timer) (void)!read(timer, &expired, sizeof expired);
            else if (!events[i].data.ptr) asked_to_end = 1;
            else happened(events[i].data.ptr, events[i].events);
        }
    }
    report(began ? began : started, now(), cpu);
    return 0;
}

int main(int argc, char **argv) {
    struct epoll_event ends = {.events = EPOLLIN | EPOLLHUP}, ticks = {.events = EPOLLIN, .data.ptr = &timer};
    struct rlimit files;
    checked_options(argc, argv);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if ((rlim_t)conns + 16 > files.rlim_cur) die("%d connections want more than %ld descriptors", conns, (long)files.rlim_cur);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &ticks)) die("epoll: %s", strerror(errno));
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &ends) && errno != EPERM) die("epoll: %s", strerror(errno));
    if (!(all = calloc(conns, sizeof *all))) die("no memory");
    for (int i = 0; i < conns; i++) all[i] = (struct connection){.fd = -1, .number = i};
    return loop();
}
