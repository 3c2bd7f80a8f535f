#include "micro.h"
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

#define NOBODY UINT32_MAX

/* Takes as many nodes as there are weights; a weight below zero ends them. */
static void candidates(const int *weights) {
    exports_micro_selector_selector_list_candidate_t list = {0};
    while (weights[list.len] >= 0) list.len++;
    list.ptr = micro_list(list.len, sizeof *list.ptr);
    for (size_t i = 0; i < list.len; i++) {
        list.ptr[i].id = (uint32_t)i + 10;
        list.ptr[i].weight = (uint32_t)weights[i];
    }
    exports_micro_selector_selector_set_candidates(1, &list);
}

static uint32_t pick(uint64_t key, uint32_t avoided) {
    /* The positions below `avoided`. */
    component_list_u32_t avoid = {micro_list(avoided, sizeof(uint32_t)), avoided};
    for (uint32_t i = 0; i < avoided; i++) avoid.ptr[i] = i;
    uint32_t at = NOBODY;
    return exports_micro_selector_selector_pick(1, 0, key * 0x9E3779B97F4A7C15u, &avoid, &at) ? at : NOBODY;
}

static void a_key_keeps_its_node_when_others_come_and_go(void) {
    uint32_t before[1000];
    candidates((int[]){1000, 1000, 1000, -1});
    for (int key = 0; key < 1000; key++) before[key] = pick((uint64_t)key, 0);
    candidates((int[]){1000, 1000, 1000, 1000, -1});
    int moved = 0;
    for (int key = 0; key < 1000; key++) {
        uint32_t now = pick((uint64_t)key, 0);
        if (now == before[key]) continue;
        CHECK(now == 3);
        moved++;
    }
    CHECK(moved > 150 && moved < 350);
}

static void keys_are_spread_by_weight(void) {
    candidates((int[]){1000, 3000, 0, -1});
    int times[3] = {0};
    for (int key = 0; key < 4000; key++) times[pick((uint64_t)key, 0)]++;
    double ratio = (double)times[1] / times[0];
    CHECK(times[2] == 0 && ratio > 2.5 && ratio < 3.5);
}

static void nodes_to_avoid_are_avoided(void) {
    candidates((int[]){1000, 1000, 0, -1});
    for (int key = 0; key < 100; key++) {
        CHECK(pick((uint64_t)key, 1) == 1);
        CHECK(pick((uint64_t)key, 2) == 2);
        CHECK(pick((uint64_t)key, 3) == NOBODY);
    }
    candidates((int[]){-1});
    CHECK(pick(1, 0) == NOBODY);
}

int main(void) {
    a_key_keeps_its_node_when_others_come_and_go();
    keys_are_spread_by_weight();
    nodes_to_avoid_are_avoided();
    puts("3 tests passed");
    return 0;
}
