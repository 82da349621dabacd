/*
 * The far end of tunnels: takes the ClientHello that load.c sends, and answers with as many octets as it asks for.
 *
 *   tunnel_origin PORT FILE
 *
 * Proxies that look at the first octets of a tunnel see TLS begin; no cipher is paid for by whoever is measured.
 * The octets are those of FILE, again and again.  Listens on 127.0.0.0/8 only and ends with its parent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILES = 1 << 20, HELLO = 517, ADDRESSES = 16, PIECE = 1 << 20 };

/* What is known of a connection, by its descriptor. */
struct tunnel {
    int octets;
    uint64_t left;
    off_t at;
    char hello[HELLO];
};
static struct tunnel *tunnels[MAX_FILES];
static int epoll, file;
static off_t file_octets;

static void must(int fine, const char *what) {
    if (fine) return;
    perror(what);
    exit(2);
}

static void watch(int fd, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    must(!epoll_ctl(epoll, how, fd, &event), "epoll_ctl");
}

static void leave(int fd) {
    free(tunnels[fd]);
    tunnels[fd] = NULL;
    close(fd);
}

static void give(int fd) {
    struct tunnel *t = tunnels[fd];
    while (t->left) {
        if (t->at >= file_octets) t->at = 0;
        uint64_t many = t->left < PIECE ? t->left : PIECE;
        ssize_t gone = sendfile(fd, file, &t->at, many);
        if (gone <= 0) {
            if (gone < 0 && errno == EAGAIN) watch(fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            else leave(fd);
            return;
        }
        t->left -= (uint64_t)gone;
        if (gone == PIECE && t->left) {     /* others get their turn */
            watch(fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return;
        }
    }
    watch(fd, EPOLLIN, EPOLL_CTL_MOD);
}

static void take(int fd) {
    struct tunnel *t = tunnels[fd];
    char spare[4096];
    int known = t->octets == HELLO;
    ssize_t many = known ? recv(fd, spare, sizeof spare, 0) : recv(fd, t->hello + t->octets, HELLO - t->octets, 0);
    if (many <= 0) {
        if (!(many < 0 && errno == EAGAIN)) leave(fd);
        return;
    }
    if (known) return;
    t->octets += (int)many;
    if (t->octets < HELLO) return;
    for (int i = 0; i < 8; i++) t->left = t->left << 8 | (uint8_t)t->hello[19 + i];
    give(fd);
}

static void greet(int listener) {
    for (;;) {
        int yes = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if (fd >= MAX_FILES || !(tunnels[fd] = calloc(1, sizeof(struct tunnel)))) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static int listen_at(uint32_t address, uint16_t port) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(fd >= 0, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    must(!bind(fd, (struct sockaddr *)&here, sizeof here), "bind");
    must(!listen(fd, 4096), "listen");
    return fd;
}

int main(int argc, char **argv) {
    struct rlimit files;
    struct stat about;
    struct epoll_event events[256];
    int listeners[ADDRESSES];
    if (argc != 3) return fputs("usage: tunnel_origin PORT FILE\n", stderr), 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    must((file = open(argv[2], O_RDONLY)) >= 0 && !fstat(file, &about) && about.st_size, argv[2]);
    file_octets = about.st_size;
    must((epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0, "epoll");
    for (int i = 0; i < ADDRESSES; i++) {
        listeners[i] = listen_at(0x7f000101u + (uint32_t)i, (uint16_t)atoi(argv[1]));
        watch(listeners[i], EPOLLIN, EPOLL_CTL_ADD);
    }
    for (;;) {
        int many = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < many; i++) {
            int fd = events[i].data.fd;
            if (fd <= listeners[ADDRESSES - 1] && !tunnels[fd]) greet(fd);
            else if (tunnels[fd] && tunnels[fd]->octets == HELLO && events[i].events & EPOLLOUT) give(fd);
            else if (tunnels[fd]) take(fd);
        }
    }
}
