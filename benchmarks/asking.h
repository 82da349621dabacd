/*
 * What the load sends: requests with the fields of a browser, credentials, the first octets of TLS.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_USERS = 10000, HELLO = 517 };

static const char *act = "get", *path = "/s200", *users_file;
static int port = 80, close_each, user_count;
static int64_t answer = 200;
static char *credentials[MAX_USERS];

static void die(const char *format, ...) {
    va_list words;
    va_start(words, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, words);
    fputc('\n', stderr);
    exit(2);
}

static void base64(const char *from, char *to) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t octets = strlen(from);
    for (size_t i = 0; i < octets; i += 3) {
        uint32_t three = (uint8_t)from[i] << 16;
        if (i + 1 < octets) three |= (uint8_t)from[i + 1] << 8;
        if (i + 2 < octets) three |= (uint8_t)from[i + 2];
        *to++ = digits[three >> 18];
        *to++ = digits[three >> 12 & 63];
        *to++ = i + 1 < octets ? digits[three >> 6 & 63] : '=';
        *to++ = i + 2 < octets ? digits[three & 63] : '=';
    }
    *to = 0;
}

static void read_users(void) {
    char line[256], coded[512];
    FILE *file = fopen(users_file, "r");
    if (!file) die("cannot read %s", users_file);
    while (user_count < MAX_USERS && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        base64(line, coded);
        if (asprintf(&credentials[user_count++], "Proxy-Authorization: Basic %s\r\n", coded) < 0) die("no memory");
    }
    fclose(file);
    if (!user_count) die("%s names nobody", users_file);
}

static int authority(char *into, int host) {
    return port == 80 ? sprintf(into, "h%02d.bench.test", host) : sprintf(into, "h%02d.bench.test:%d", host, port);
}

/* The fields are those a browser sends; their number is what a head reader is measured by. */
static int request(char *into, int number, int host) {
    char where[64];
    const char *who = user_count ? credentials[number % user_count] : "";
    authority(where, host);
    if (*act == 't')
        return sprintf(into, "CONNECT h%02d.bench.test:%d HTTP/1.1\r\nHost: h%02d.bench.test:%d\r\n%s"
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\r\n",
            host, port, host, port, who);
    return sprintf(into, "GET http://%s%s HTTP/1.1\r\nHost: %s\r\n%s"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
        "Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nReferer: http://%s/\r\n"
        "Connection: %s\r\n\r\n", where, path, where, who, where, close_each ? "close" : "keep-alive");
}

static char *be(char *at, uint64_t value, int octets) {
    while (octets--) *at++ = (char)(value >> 8 * octets);
    return at;
}

static char *hex(char *at, const char *digits) {
    for (; *digits; digits += 2) {
        unsigned octet;
        sscanf(digits, "%2x", &octet);
        *at++ = (char)octet;
    }
    return at;
}

/* A ClientHello (RFC 8446, 4.1.2) of a browser's length; the origin finds in its random how much to answer. */
static int client_hello(char *into, int host) {
    char name[64], *at = into + 9;
    int octets = sprintf(name, "h%02d.bench.test", host);
    at = hex(at, "0303");
    at = be(at, 0x6265636861736b73, 8);
    at = be(at, (uint64_t)answer, 8);
    memset(at, 0x5a, 16);
    at = be(at + 16, 32, 1);
    memset(at, 0xa5, 32);
    at = hex(at + 32, "000e130113021303c02bc02fc02cc030" "0100");
    char *extensions = at;
    at = be(be(be(be(be(at + 2, 0, 2), octets + 5, 2), octets + 3, 2), 0, 1), octets, 2);
    memcpy(at, name, octets);
    at = hex(at + octets, "002b00050403040303" "000a00080006001d00170018" "000d000a0008040308040403" "0401"
        "0010000b000908687474702f312e31" "003300260024001d0020");
    memset(at, 0x11, 32);
    at = be(be(at + 32, 21, 2), into + HELLO - at - 36, 2);
    memset(at, 0, into + HELLO - at);
    be(extensions, into + HELLO - extensions - 2, 2);
    be(be(hex(into, "160301"), HELLO - 5, 2), 1, 1);
    be(into + 6, HELLO - 9, 3);
    return HELLO;
}
