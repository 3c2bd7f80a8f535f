#include "micro.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static void part(micro_buffer *packed, const char *text) {
    uint8_t length[2] = {(uint8_t)strlen(text), 0};
    micro_append(packed, length, 2);
    micro_append_text(packed, text);
}

/* The verdict about a request with these names and values, spelled out; NULL ends them. */
static exports_micro_filter_filter_verdict_t ask(const char *const *fields) {
    micro_buffer packed = {0};
    part(&packed, "GET");
    part(&packed, "/");
    part(&packed, "example.org");
    for (; *fields; fields += 2) {
        micro_append(&packed, "\0", 2);
        part(&packed, fields[0]);
        part(&packed, fields[1]);
    }
    component_string_t peer = micro_text("192.0.2.1");
    component_list_u8_t list = {(uint8_t *)packed.data, packed.length};
    exports_micro_filter_filter_verdict_t verdict;
    exports_micro_filter_filter_request(&peer, &list, &verdict);
    return verdict;
}

static bool configure(const char *json) {
    exports_micro_hot_lifecycle_context_t context = {0};
    component_string_t config = micro_text(json), err;
    return exports_micro_hot_lifecycle_configure(&context, &config, &err);
}

static void the_key_lets_through_and_is_taken_away(void) {
    const char *fields[] = {"Accept", "*/*", "x-api-KEY", "secret", NULL};
    exports_micro_filter_filter_verdict_t verdict = ask(fields);
    CHECK(verdict.tag == EXPORTS_MICRO_FILTER_FILTER_VERDICT_EDIT);
    CHECK(verdict.val.edit.request.len == 1 && micro_is(verdict.val.edit.request.ptr[0].name, "X-Api-Key"));
}

static void everything_else_is_refused(void) {
    const char *const wrong[][5] = {{NULL}, {"X-Api-Key", ""}, {"X-Api-Key", "secre"}, {"X-Api-Key", "secrets"},
                                    {"X-Api-Key", "secret", "X-Api-Key", "secret"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        exports_micro_filter_filter_verdict_t verdict = ask(wrong[i]);
        CHECK(verdict.tag == EXPORTS_MICRO_FILTER_FILTER_VERDICT_RESPOND && verdict.val.respond.status == 401);
    }
}

int main(void) {
    CHECK(!configure("{\"header\": \"X-Api-Key\", \"key\": \"\"}") && !configure("{}"));
    CHECK(configure("{\"header\": \"X-Api-Key\", \"key\": \"secret\"}"));
    the_key_lets_through_and_is_taken_away();
    everything_else_is_refused();
    puts("2 tests passed");
    return 0;
}
