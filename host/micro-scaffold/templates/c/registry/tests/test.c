#include "src/store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static char folder[] = "/tmp/registry-test-XXXXXX";

static exports_micro_registry_registry_call_t call(void) {
    exports_micro_registry_registry_call_t call = {0};
    call.timeout_ms = 1000;
    return call;
}

static bool configure(const char *json) {
    exports_micro_plugin_lifecycle_call_t c = call();
    exports_micro_plugin_lifecycle_context_t context = {0};
    component_string_t config = micro_text(json);
    exports_micro_plugin_lifecycle_error_t err;
    return exports_micro_plugin_lifecycle_configure(&c, &context, &config, &err);
}

static service_t greeter(const char *id) {
    service_t service = {0};
    service.name = micro_text("greeter");
    service.version = micro_text("1");
    service.endpoints.ptr = micro_list(1, sizeof *service.endpoints.ptr);
    service.endpoints.len = 1;
    service.endpoints.ptr[0].name = micro_text("Say.Hello");
    service.endpoints.ptr[0].request_json = micro_text("{\"name\": \"Re quest\"}");
    service.endpoints.ptr[0].response_json = micro_text("null");
    service.nodes.ptr = micro_list(1, sizeof *service.nodes.ptr);
    service.nodes.len = 1;
    node_t *node = &service.nodes.ptr[0];
    node->id = micro_text(id);
    node->address = micro_text("127.0.0.1:9090");
    node->metadata.ptr = micro_list(1, sizeof *node->metadata.ptr);
    node->metadata.len = 1;
    node->metadata.ptr[0].f0 = micro_text("a b=c%");
    node->metadata.ptr[0].f1 = micro_text("");
    node->zone.is_some = true;
    node->zone.val = micro_text("eu-1");
    return service;
}

static void add(const char *id, uint64_t ttl_ms) {
    exports_micro_registry_registry_call_t c = call();
    service_t service = greeter(id);
    exports_micro_registry_registry_options_t options = {0};
    exports_micro_registry_registry_error_t err;
    CHECK(exports_micro_registry_registry_register(&c, &service, ttl_ms, &options, &err));
}

static exports_micro_registry_registry_snapshot_t get(const char *name) {
    exports_micro_registry_registry_call_t c = call();
    component_string_t text = micro_text(name);
    exports_micro_registry_registry_options_t options = {0};
    exports_micro_registry_registry_snapshot_t snapshot;
    exports_micro_registry_registry_error_t err;
    CHECK(exports_micro_registry_registry_get_service(&c, &text, &options, &snapshot, &err));
    return snapshot;
}

static exports_micro_registry_registry_batch_t changes(const char *after, uint64_t wait_ms) {
    exports_micro_registry_registry_call_t c = call();
    component_string_t cursor = micro_text(after ? after : "");
    exports_micro_registry_registry_options_t options = {0};
    exports_micro_registry_registry_batch_t batch;
    exports_micro_registry_registry_error_t err;
    CHECK(exports_micro_registry_registry_changes(&c, NULL, after ? &cursor : NULL, wait_ms, &options, &batch, &err));
    return batch;
}

static void what_is_registered_is_found_whole(void) {
    add("a b", 30000);
    add("b", 30000);
    add("b", 30000);
    exports_micro_registry_registry_snapshot_t found = get("greeter");
    CHECK(found.services.len == 1 && found.services.ptr[0].nodes.len == 2);
    const service_t *service = &found.services.ptr[0];
    CHECK(micro_is(service->endpoints.ptr[0].request_json, "{\"name\": \"Re quest\"}"));
    CHECK(micro_is(service->nodes.ptr[0].id, "a b") && micro_is(service->nodes.ptr[0].zone.val, "eu-1"));
    CHECK(micro_is(service->nodes.ptr[0].metadata.ptr[0].f0, "a b=c%"));
    CHECK(service->nodes.ptr[0].metadata.ptr[0].f1.len == 0);
    CHECK(get("unknown").services.len == 0);
}

static void a_change_is_seen_and_a_heartbeat_is_none(void) {
    exports_micro_registry_registry_batch_t first = changes(NULL, 1000);
    CHECK(first.resync && first.entries.len == 1);
    char *cursor = strndup((char *)first.cursor.ptr, first.cursor.len);
    add("b", 60000);
    exports_micro_registry_registry_batch_t same = changes(cursor, 100);
    CHECK(!same.resync && same.entries.len == 0 && micro_is(same.cursor, cursor));
    exports_micro_registry_registry_call_t c = call();
    service_t gone = greeter("b");
    exports_micro_registry_registry_options_t options = {0};
    exports_micro_registry_registry_error_t err;
    CHECK(exports_micro_registry_registry_deregister(&c, &gone, &options, &err));
    exports_micro_registry_registry_batch_t next = changes(cursor, 1000);
    CHECK(next.resync && next.entries.len == 1 && next.entries.ptr[0].services.ptr[0].nodes.len == 1);
}

static void lines_are_read_or_refused_whole(void) {
    char why[128];
    store store;
    const char *good = "# by hand\n\nservice greeter % a=b\nnode x 127.0.0.1:1 tag=blue expires=99\nnode y [::1]:1 status=critical";
    CHECK(store_parse(&store, good, strlen(good), 100, why));
    CHECK(store.length == 1 && store.entries[0].service.nodes.len == 1 && store.entries[0].service.nodes.ptr[0].status == 2);
    store_free(&store);
    const char *wrong[] = {"node x y", "service a", "service a 1\nnode x", "service a 1\nnode x y z", "service a 1\nendpoint e",
                           "what is this", "service a 1\nnode x y expires=1x", "service a 1 b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(!store_parse(&store, wrong[i], strlen(wrong[i]), 0, why));
    }
}

static void options_are_read(void) {
    CHECK(!configure("{}") && !configure("{\"path\": \"relative\"}") && !configure("") && !configure("{\"path\": 5}"));
    component_string_t json = micro_text("{\"a\": [1, {\"x\": \"}\"}], \"b\\u00e9\": \"\\ud83d\\ude00\\n\", \"n\": -42}");
    char *text = micro_option_text(json, "b\xc3\xa9");
    CHECK(text && strcmp(text, "\xf0\x9f\x98\x80\n") == 0);
    int64_t number = 0;
    CHECK(micro_option_integer(json, "n", &number) && number == -42);
    CHECK(!micro_option_integer(json, "a", &number) && !micro_option_text(json, "n"));
}

int main(void) {
    CHECK(mkdtemp(folder));
    options_are_read();
    char json[128];
    snprintf(json, sizeof json, "{\"path\": \"%s/services\"}", folder);
    CHECK(configure(json));
    what_is_registered_is_found_whole();
    a_change_is_seen_and_a_heartbeat_is_none();
    lines_are_read_or_refused_whole();
    puts("4 tests passed");
    return 0;
}
