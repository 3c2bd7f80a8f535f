/* @name@: calls with the same shard key go to the same node.
 *
 * Rendezvous hashing: each node has a score for the key, and the highest wins. When a node comes or goes, only the keys that
 * it wins or won move. Calls without a key have a random one, so they are spread. It has no options.
 */
#include "micro.h"
#include <math.h>
#include <stdlib.h>

typedef struct member {
    uint64_t seed;
    uint32_t weight;
} member;

typedef struct members {
    uint32_t set;
    size_t length;
    member *all;
} members;

static members *sets;
static size_t count;

/* Spreads the bits of a number (the finaliser of SplitMix64). */
static uint64_t mix(uint64_t number) {
    uint64_t bits = number + 0x9E3779B97F4A7C15u;
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
    return bits ^ (bits >> 31);
}

/* Higher for nodes of more weight, in proportion; below zero for those that are only chosen where there is nobody else. */
static double score(const member *member, uint64_t key) {
    /* Between 0 and 1, neither of them: 52 bits and a half. */
    double uniform = ((double)(mix(key ^ member->seed) >> 12) + 0.5) / (double)(UINT64_C(1) << 52);
    return member->weight ? member->weight / -log(uniform) : uniform - 1;
}

static members *find(uint32_t set) {
    for (size_t i = 0; i < count; i++) {
        if (sets[i].set == set) return &sets[i];
    }
    return NULL;
}

bool exports_micro_hot_lifecycle_configure(exports_micro_hot_lifecycle_context_t *context,
                                           component_string_t *config_json, component_string_t *err) {
    exports_micro_hot_lifecycle_context_free(context);
    component_string_free(config_json);
    return true;
}

void exports_micro_selector_selector_set_candidates(uint32_t set,
                                                    exports_micro_selector_selector_list_candidate_t *candidates) {
    members *known = find(set);
    if (known) {
        free(known->all);
        *known = sets[--count];
    }
    if (candidates->len > 0) {
        member *all = micro_list(candidates->len, sizeof *all);
        for (size_t i = 0; i < candidates->len; i++) {
            all[i] = (member){mix(candidates->ptr[i].id), candidates->ptr[i].weight};
        }
        members *grown = realloc(sets, (count + 1) * sizeof *sets);
        if (!grown) abort();
        sets = grown;
        sets[count++] = (members){set, candidates->len, all};
    }
    /* The bindings' own function leaves out what an imported interface has a type for as well. */
    for (size_t i = 0; i < candidates->len; i++) {
        component_list_tuple2_string_string_free(&candidates->ptr[i].metadata);
        candidates->ptr[i].metadata.len = 0;
    }
    exports_micro_selector_selector_list_candidate_free(candidates);
}

bool exports_micro_selector_selector_pick(uint32_t set, uint64_t sequence, uint64_t key, component_list_u32_t *avoid,
                                          uint32_t *ret) {
    const members *known = find(set);
    bool found = false;
    double best = 0;
    for (size_t at = 0; known && at < known->length; at++) {
        bool free_to_use = true;
        for (size_t i = 0; i < avoid->len; i++) free_to_use = free_to_use && avoid->ptr[i] != at;
        if (!free_to_use) continue;
        double own = score(&known->all[at], key);
        if (found && own <= best) continue;
        found = true;
        best = own;
        *ret = (uint32_t)at;
    }
    component_list_u32_free(avoid);
    return found;
}
