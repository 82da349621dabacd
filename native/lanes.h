/*
 * The thousand rounds of several passwords side by side.
 */
#ifndef CORPPROXY_LANES_H
#define CORPPROXY_LANES_H
#include <stddef.h>
#include <stdint.h>

enum { ROUNDS = 1000, DIGEST = 16, LANES = 16 };

typedef struct {
    const uint8_t *at;
    size_t many;
} Octets;

typedef struct {
    Octets password, salt;
    uint8_t digest[DIGEST];
} Lane;

#pragma GCC visibility push(hidden)

/* Whether all that a round digests fits into one block. */
int fits_lane(const Lane *lane);

/* Take the digests of up to LANES passwords that fit through all rounds. */
void go_side_by_side(Lane *const lanes[], int many);

#pragma GCC visibility pop

#endif
