/*
 * MD5 (RFC 1321) of sixteen blocks side by side, each in a lane of wide registers.
 *
 * The rounds of one password wait for each other: each digests what the one before gave, and a processor that
 * could do eight additions at once does one.  Those of different people do not.  A step of MD5 waits for the one
 * before it, too: two registers of eight lanes each take hardly longer than one.  All that a round digests is one
 * block, for passwords of up to fifteen octets; longer ones go their rounds alone.
 */
#include "lanes.h"
#include <math.h>
#include <string.h>

enum { BLOCK = 64, WORDS = 16, STEPS = 64, LENGTH_AT = 56, KINDS = 8 };

typedef uint32_t Wide __attribute__((vector_size(4 * LANES)));

/* Words of all lanes, as scalar code and as wide code sees them. */
typedef union {
    uint32_t of[LANES];
    Wide all;
} Words;

/*
 * What the passwords put into the blocks of their rounds, all lanes across: there are eight kinds of these, in each
 * of which a digest has its place.  It begins in the word `from`, behind so many bits of it; `before` is what
 * stands in these bits, `behind` what stands in the last word behind the digest.
 */
typedef struct {
    Words words[KINDS][WORDS];
    Words shift[KINDS], before[KINDS], behind[KINDS];
    uint8_t from[KINDS][LANES];
} Blocks;

int fits_lane(const Lane *lane)
{
    return 2 * lane->password.many + lane->salt.many + DIGEST < LENGTH_AT;
}

/* Which kind of block a round has: what comes first, and whether the salt and the password come between. */
static int kind_of(int round)
{
    return (round & 1) | (round % 3 ? 2 : 0) | (round % 7 ? 4 : 0);
}

static size_t put_octets(uint8_t *block, size_t at, Octets octets)
{
    memcpy(block + at, octets.at, octets.many);
    return at + octets.many;
}

static uint32_t word_at(const uint8_t *octets)
{
    return (uint32_t)octets[0] | (uint32_t)octets[1] << 8 | (uint32_t)octets[2] << 16 | (uint32_t)octets[3] << 24;
}

static void put_word(uint8_t *octets, uint32_t word)
{
    for (int i = 0; i < 4; i++) octets[i] = (uint8_t)(word >> (8 * i));
}

static void lay_out_kind(Blocks *blocks, int k, const Lane *lane, int kind)
{
    uint8_t block[BLOCK] = {0};
    size_t at = kind & 1 ? put_octets(block, 0, lane->password) : DIGEST;
    if (kind & 2) at = put_octets(block, at, lane->salt);
    if (kind & 4) at = put_octets(block, at, lane->password);
    size_t place = kind & 1 ? at : 0;
    at = kind & 1 ? at + DIGEST : put_octets(block, at, lane->password);
    block[at] = 0x80;
    for (int i = 0; i < 2; i++) block[LENGTH_AT + i] = (uint8_t)((at * 8) >> (8 * i));
    for (int w = 0; w < WORDS; w++) blocks->words[kind][w].of[k] = word_at(block + 4 * w);
    /* No digest is there yet: its octets are nought, and what stands around it in its words is the rest. */
    blocks->from[kind][k] = (uint8_t)(place / 4);
    blocks->shift[kind].of[k] = (uint32_t)(place % 4 * 8);
    blocks->before[kind].of[k] = word_at(block + place / 4 * 4);
    blocks->behind[kind].of[k] = word_at(block + place / 4 * 4 + DIGEST);
}

/* Put the digests of all lanes into their blocks of the next round. */
static inline __attribute__((always_inline)) void put_digests(Blocks *blocks, int many, int kind,
                                                              const Words digest[4])
{
    Wide left = blocks->shift[kind].all, right = 31 - left;
    Words put[5];
    put[0].all = blocks->before[kind].all | digest[0].all << left;
    /* By 32 bits where nothing is shifted, which is not for one shift. */
    for (int i = 1; i < 4; i++) put[i].all = digest[i - 1].all >> 1 >> right | digest[i].all << left;
    put[4].all = digest[3].all >> 1 >> right | blocks->behind[kind].all;
    for (int k = 0; k < many; k++) {
        Words *words = &blocks->words[kind][blocks->from[kind][k]];
        for (int i = 0; i < 5; i++) words[i].of[k] = put[i].of[k];
    }
}

/* One step: `chosen` mixes three words, `word` is the one of the block. */
#define STEP(chosen, word, turn)                                                                                       \
    do {                                                                                                               \
        Wide sum = a + (chosen) + (word) + sines[i];                                                                   \
        a = d, d = c, c = b;                                                                                           \
        b += (sum << (turn)) | (sum >> (32 - (turn)));                                                                 \
    } while (0)

static inline __attribute__((always_inline)) void digest_blocks(Words state[4], const Words words[WORDS],
                                                                const uint32_t sines[STEPS])
{
    static const int turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    Wide a = state[0].all, b = state[1].all, c = state[2].all, d = state[3].all;
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) STEP(d ^ (b & (c ^ d)), words[i].all, turns[0][i & 3]);
#pragma GCC unroll 16
    for (int i = 16; i < 32; i++) STEP(c ^ (d & (b ^ c)), words[(5 * i + 1) & 15].all, turns[1][i & 3]);
#pragma GCC unroll 16
    for (int i = 32; i < 48; i++) STEP(b ^ c ^ d, words[(3 * i + 5) & 15].all, turns[2][i & 3]);
#pragma GCC unroll 16
    for (int i = 48; i < 64; i++) STEP(c ^ (b | ~d), words[(7 * i) & 15].all, turns[3][i & 3]);
    state[0].all += a, state[1].all += b, state[2].all += c, state[3].all += d;
}

static inline __attribute__((always_inline)) void go_all_rounds(Lane *const lanes[], int many, Blocks *blocks,
                                                                const uint32_t sines[STEPS])
{
    static const uint32_t first[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    Words digest[4];
    memset(digest, 0, sizeof digest);
    for (int k = 0; k < many; k++)
        for (int i = 0; i < 4; i++) digest[i].of[k] = word_at(&lanes[k]->digest[4 * i]);
    for (int round = 0; round < ROUNDS; round++) {
        int kind = kind_of(round);
        put_digests(blocks, many, kind, digest);
        for (int i = 0; i < 4; i++) digest[i].all = (Wide){0} + first[i];
        digest_blocks(digest, blocks->words[kind], sines);
    }
    for (int k = 0; k < many; k++)
        for (int i = 0; i < 4; i++) put_word(&lanes[k]->digest[4 * i], digest[i].of[k]);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void go_wide(Lane *const lanes[], int many, Blocks *blocks,
                                                    const uint32_t sines[STEPS])
{
    go_all_rounds(lanes, many, blocks, sines);
}
#endif

static void go(Lane *const lanes[], int many, Blocks *blocks, const uint32_t sines[STEPS])
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        go_wide(lanes, many, blocks, sines);
        return;
    }
#endif
    go_all_rounds(lanes, many, blocks, sines);
}

void go_side_by_side(Lane *const lanes[], int many)
{
    Blocks blocks;
    uint32_t sines[STEPS];
    for (int i = 0; i < STEPS; i++) sines[i] = (uint32_t)(4294967296.0 * fabs(sin(i + 1)));
    /* Lanes that nobody has digest nothing that anybody looks at. */
    memset(&blocks, 0, sizeof blocks);
    for (int k = 0; k < many; k++)
        for (int kind = 0; kind < KINDS; kind++) lay_out_kind(&blocks, k, lanes[k], kind);
    go(lanes, many, &blocks, sines);
}
