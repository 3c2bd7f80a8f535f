/* @name@: a registry in one file of lines that several processes may share; src/store.h says what is in it.
 *
 * | option | is                                            |
 * |--------|-----------------------------------------------|
 * | path   | the file; it is made when something registers |
 *
 * C has no way to suspend a call, so an instance runs one after the other (max-concurrency 1), and the host gives `changes`
 * an instance of its own. The instances share nothing but the file: a cursor is a hash of what was there.
 */
#include "src/store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The longest file that is read. */
#define MAX_BYTES (8 << 20)
/* How often the file is looked at while somebody waits for a change. */
#define LOOK_MS 250
/* A lock that is older was left behind by a process that died. */
#define STALE_SECONDS 5
#define LOCK_LOOK_MS 20

typedef micro_plugin_types_error_t error_t;
typedef micro_plugin_types_call_t call_t;
typedef micro_plugin_types_options_t options_t;

static char *path;
static char *lock_path;
static char *new_path;

/* Errors */

static bool fail(error_t *err, uint8_t tag, const char *what, const char *why) {
    char text[512];
    snprintf(text, sizeof text, "%s: %s", what, why);
    memset(err, 0, sizeof *err);
    err->tag = tag;
    if (tag == MICRO_PLUGIN_TYPES_ERROR_UNAVAILABLE) err->val.unavailable.reason = micro_text(text);
    else if (tag == MICRO_PLUGIN_TYPES_ERROR_DENIED) err->val.denied = micro_text(text);
    else if (tag == MICRO_PLUGIN_TYPES_ERROR_INVALID) err->val.invalid = micro_text(text);
    return false;
}

static bool unavailable(error_t *err, const char *what) {
    return fail(err, MICRO_PLUGIN_TYPES_ERROR_UNAVAILABLE, what, strerror(errno));
}

/* Time */

static uint64_t milliseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t seconds(void) { return milliseconds(CLOCK_REALTIME) / 1000; }

static void pause_ms(uint64_t ms) {
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* The file */

static bool load(store *store, error_t *err) {
    memset(store, 0, sizeof *store);
    FILE *file = fopen(path, "rb");
    if (!file && errno == ENOENT) {
        char *slash = strrchr(path, '/');
        struct stat folder;
        *slash = 0;
        bool there = stat(slash == path ? "/" : path, &folder) == 0;
        *slash = '/';
        return there || fail(err, MICRO_PLUGIN_TYPES_ERROR_DENIED, path, "its folder is not there, or not granted");
    }
    if (!file) return fail(err, MICRO_PLUGIN_TYPES_ERROR_DENIED, path, "cannot be read: is its folder granted?");
    micro_buffer data = {0};
    char part[4096];
    size_t length;
    while (data.length <= MAX_BYTES && (length = fread(part, 1, sizeof part, file)) > 0) {
        micro_append(&data, part, length);
    }
    bool broken = ferror(file);
    fclose(file);
    char why[128] = "it is too long, or cannot be read";
    bool ok = !broken && data.length <= MAX_BYTES && store_parse(store, data.data, data.length, milliseconds(CLOCK_REALTIME), why);
    free(data.data);
    return ok || fail(err, MICRO_PLUGIN_TYPES_ERROR_UNAVAILABLE, path, why);
}

/* Whoever reads the file sees the old one or the new one. */
static bool save(const store *store, error_t *err) {
    micro_buffer data = {0};
    store_print(store, &data);
    FILE *file = fopen(new_path, "wb");
    bool ok = file && fwrite(data.data, 1, data.length, file) == data.length;
    if (file && fclose(file) != 0) ok = false;
    free(data.data);
    if (ok && rename(new_path, path) == 0) return true;
    return unavailable(err, new_path);
}

/* One writer at a time, over all processes: whoever makes the lock file. */
static bool lock(const call_t *call, error_t *err) {
    uint64_t end = milliseconds(CLOCK_MONOTONIC) + call->timeout_ms;
    for (;;) {
        int file = open(lock_path, O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (file >= 0) return close(file) == 0 || unavailable(err, lock_path);
        if (errno != EEXIST) return fail(err, MICRO_PLUGIN_TYPES_ERROR_DENIED, lock_path, strerror(errno));
        struct stat held;
        uint64_t now = seconds();
        if (stat(lock_path, &held) == 0) {
            uint64_t made = (uint64_t)held.st_mtime;
            if ((made > now ? made - now : now - made) >= STALE_SECONDS) {
                micro_log(MICRO_WARN, "a lock was left behind: %s", lock_path);
                unlink(lock_path);
            }
        }
        if (milliseconds(CLOCK_MONOTONIC) + LOCK_LOOK_MS >= end) {
            memset(err, 0, sizeof *err);
            err->tag = MICRO_PLUGIN_TYPES_ERROR_TIMEOUT;
            return false;
        }
        pause_ms(LOCK_LOOK_MS);
    }
}

/* The contract: life */

static char *joined(const char *a, const char *b) {
    char *text = micro_alloc(strlen(a) + strlen(b) + 1);
    strcpy(text, a);
    return strcat(text, b);
}

bool exports_micro_plugin_lifecycle_configure(exports_micro_plugin_lifecycle_call_t *c,
                                              exports_micro_plugin_lifecycle_context_t *context,
                                              component_string_t *config_json,
                                              exports_micro_plugin_lifecycle_error_t *err) {
    micro_plugin_types_call_free(c);
    exports_micro_plugin_lifecycle_context_free(context);
    path = micro_option_text(*config_json, "path");
    component_string_free(config_json);
    if (!path || *path != '/') {
        return fail(err, MICRO_PLUGIN_TYPES_ERROR_INVALID, "option path", "an absolute path is wanted");
    }
    lock_path = joined(path, ".lock");
    new_path = joined(path, ".new");
    micro_log(MICRO_INFO, "services are in %s", path);
    return true;
}

bool exports_micro_plugin_lifecycle_health(exports_micro_plugin_lifecycle_call_t *c,
                                           exports_micro_plugin_lifecycle_error_t *err) {
    micro_plugin_types_call_free(c);
    store store;
    if (!load(&store, err)) return false;
    store_free(&store);
    return true;
}

void exports_micro_plugin_lifecycle_drain(component_string_t *reason, uint64_t deadline_ms) {
    component_string_free(reason);
}

/* The contract: registry */

/* Changes the file: puts the service in until a time, or takes its nodes out. */
static bool change(call_t *call, service_t *service, bool put, uint64_t expires, error_t *err) {
    store store;
    if (!lock(call, err)) return false;
    bool ok = load(&store, err);
    if (ok) {
        if (put) store_put(&store, service, expires);
        else store_remove(&store, service);
        ok = save(&store, err);
        store_free(&store);
    }
    unlink(lock_path);
    return ok;
}

bool exports_micro_registry_registry_register(exports_micro_registry_registry_call_t *c, service_t *service,
                                              uint64_t ttl_ms, exports_micro_registry_registry_options_t *options,
                                              exports_micro_registry_registry_error_t *err) {
    uint64_t expires = ttl_ms ? milliseconds(CLOCK_REALTIME) + ttl_ms : 0;
    bool ok = change(c, service, true, expires, err);
    service_free(service);
    micro_plugin_types_options_free(options);
    micro_plugin_types_call_free(c);
    return ok;
}

bool exports_micro_registry_registry_deregister(exports_micro_registry_registry_call_t *c, service_t *service,
                                                exports_micro_registry_registry_options_t *options,
                                                exports_micro_registry_registry_error_t *err) {
    bool ok = change(c, service, false, 0, err);
    service_free(service);
    micro_plugin_types_options_free(options);
    micro_plugin_types_call_free(c);
    return ok;
}

static bool counts(const entry *entry, const component_string_t *name) {
    return entry->service.nodes.len > 0 && (!name || micro_same(entry->service.name, *name));
}

/* The services of one name, or all of them, that have nodes. */
static void collect(const store *store, const component_string_t *name,
                    exports_micro_registry_registry_list_service_t *ret) {
    size_t length = 0;
    for (size_t i = 0; i < store->length; i++) length += counts(&store->entries[i], name);
    ret->ptr = micro_list(length, sizeof *ret->ptr);
    ret->len = 0;
    for (size_t i = 0; i < store->length; i++) {
        if (counts(&store->entries[i], name)) ret->ptr[ret->len++] = service_copy(&store->entries[i].service);
    }
}

/* FNV-1a over what the file would say, without the times: a heartbeat is no change. */
static void cursor_of(const exports_micro_registry_registry_list_service_t *services, char cursor[static 20]) {
    store store = {micro_list(services->len, sizeof(entry)), services->len};
    size_t most = 0;
    for (size_t i = 0; i < services->len; i++) {
        store.entries[i].service = services->ptr[i];
        if (services->ptr[i].nodes.len > most) most = services->ptr[i].nodes.len;
    }
    uint64_t *never = micro_list(most, sizeof *never);
    for (size_t i = 0; i < services->len; i++) store.entries[i].expires = never;
    micro_buffer text = {0};
    store_print(&store, &text);
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < text.length; i++) hash = (hash ^ (uint8_t)text.data[i]) * 0x100000001b3u;
    snprintf(cursor, 20, "%016llx", (unsigned long long)hash);
    free(text.data);
    free(never);
    free(store.entries);
}

bool exports_micro_registry_registry_get_service(exports_micro_registry_registry_call_t *c, component_string_t *name,
                                                 exports_micro_registry_registry_options_t *options,
                                                 exports_micro_registry_registry_snapshot_t *ret,
                                                 exports_micro_registry_registry_error_t *err) {
    store store;
    bool ok = load(&store, err);
    if (ok) {
        char cursor[20];
        collect(&store, name, &ret->services);
        cursor_of(&ret->services, cursor);
        ret->cursor.is_some = true;
        ret->cursor.val = micro_text(cursor);
        store_free(&store);
    }
    component_string_free(name);
    micro_plugin_types_options_free(options);
    micro_plugin_types_call_free(c);
    return ok;
}

bool exports_micro_registry_registry_list_services(exports_micro_registry_registry_call_t *c,
                                                   exports_micro_registry_registry_options_t *options,
                                                   component_list_string_t *ret,
                                                   exports_micro_registry_registry_error_t *err) {
    store store;
    bool ok = load(&store, err);
    if (ok) {
        ret->ptr = micro_list(store.length, sizeof *ret->ptr);
        ret->len = 0;
        for (size_t i = 0; i < store.length; i++) {
            const component_string_t *name = &store.entries[i].service.name;
            bool known = !counts(&store.entries[i], NULL);
            for (size_t j = 0; j < ret->len; j++) known = known || micro_same(ret->ptr[j], *name);
            if (!known) ret->ptr[ret->len++] = micro_dup(*name);
        }
        if (ret->len == 0) free(ret->ptr);
        store_free(&store);
    }
    micro_plugin_types_options_free(options);
    micro_plugin_types_call_free(c);
    return ok;
}

/* Everything in scope, by name. */
static void group(exports_micro_registry_registry_list_service_t *services,
                  exports_micro_registry_registry_list_entry_t *entries) {
    entries->ptr = micro_list(services->len, sizeof *entries->ptr);
    entries->len = 0;
    for (size_t i = 0; i < services->len; i++) {
        exports_micro_registry_registry_entry_t *entry = NULL;
        for (size_t j = 0; j < entries->len && !entry; j++) {
            if (micro_same(entries->ptr[j].name, services->ptr[i].name)) entry = &entries->ptr[j];
        }
        if (!entry) {
            entry = &entries->ptr[entries->len++];
            entry->name = micro_dup(services->ptr[i].name);
            entry->services.ptr = micro_list(services->len, sizeof *entry->services.ptr);
        }
        entry->services.ptr[entry->services.len++] = services->ptr[i];
    }
    if (services->len) free(services->ptr);
    services->ptr = NULL;
    services->len = 0;
}

bool exports_micro_registry_registry_changes(exports_micro_registry_registry_call_t *c, component_string_t *maybe_name,
                                             component_string_t *maybe_after, uint64_t wait_ms,
                                             exports_micro_registry_registry_options_t *options,
                                             exports_micro_registry_registry_batch_t *ret,
                                             exports_micro_registry_registry_error_t *err) {
    uint64_t end = milliseconds(CLOCK_MONOTONIC) + wait_ms;
    bool ok;
    for (;;) {
        store store;
        ok = load(&store, err);
        if (!ok) break;
        char cursor[20];
        exports_micro_registry_registry_list_service_t services;
        collect(&store, maybe_name, &services);
        store_free(&store);
        cursor_of(&services, cursor);
        uint64_t now = milliseconds(CLOCK_MONOTONIC);
        bool changed = !maybe_after || !micro_is(*maybe_after, cursor);
        if (changed || now >= end) {
            memset(ret, 0, sizeof *ret);
            ret->cursor = micro_text(cursor);
            /* What exactly changed is not known without the old state, and that may be another instance's. */
            ret->resync = changed;
            if (changed) group(&services, &ret->entries);
            else services_free(&services);
            break;
        }
        services_free(&services);
        pause_ms(end - now < LOOK_MS ? end - now : LOOK_MS);
    }
    if (maybe_name) component_string_free(maybe_name);
    if (maybe_after) component_string_free(maybe_after);
    micro_plugin_types_options_free(options);
    micro_plugin_types_call_free(c);
    return ok;
}
