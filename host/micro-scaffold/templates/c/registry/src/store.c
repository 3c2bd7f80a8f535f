#include "store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grown(void *list, size_t length, size_t size) {
    void *memory = realloc(list, (length + 1) * size);
    if (!memory) abort();
    return memory;
}

/* Ends */

static void pairs_free(metadata_t *metadata) {
    component_list_tuple2_string_string_free(metadata);
    *metadata = (metadata_t){NULL, 0};
}

/* The bindings' own functions leave out what an imported interface has a type for as well: metadata and zones. What is
 * freed here is emptied, so that they may learn it. */
static void node_free(node_t *node) {
    pairs_free(&node->metadata);
    component_option_string_free(&node->zone);
    node->zone.is_some = false;
    exports_micro_registry_registry_node_free(node);
}

void service_free(service_t *service) {
    pairs_free(&service->metadata);
    for (size_t i = 0; i < service->endpoints.len; i++) pairs_free(&service->endpoints.ptr[i].metadata);
    for (size_t i = 0; i < service->nodes.len; i++) {
        node_t *node = &service->nodes.ptr[i];
        pairs_free(&node->metadata);
        component_option_string_free(&node->zone);
        node->zone.is_some = false;
    }
    exports_micro_registry_registry_service_free(service);
}

void services_free(exports_micro_registry_registry_list_service_t *services) {
    for (size_t i = 0; i < services->len; i++) service_free(&services->ptr[i]);
    if (services->len) free(services->ptr);
    *services = (exports_micro_registry_registry_list_service_t){NULL, 0};
}

/* Words */

static int hex(uint8_t digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

static component_string_t decoded(const char *word, size_t length) {
    component_string_t text = {micro_alloc(length), 0};
    for (size_t i = 0; i < length; i++) {
        int high = i + 2 < length && word[i] == '%' ? hex((uint8_t)word[i + 1]) : -1;
        int low = high >= 0 ? hex((uint8_t)word[i + 2]) : -1;
        if (low >= 0) i += 2;
        text.ptr[text.len++] = low >= 0 ? (uint8_t)(high << 4 | low) : (uint8_t)word[i];
    }
    if (text.len == 0) {
        free(text.ptr);
        text.ptr = NULL;
    }
    return text;
}

static void encode(micro_buffer *out, component_string_t text) {
    static const char plain[] = "-._~:/[]{}\",@!$&'()*+;?";
    static const char digits[] = "0123456789ABCDEF";
    /* An empty word would not be seen. */
    if (text.len == 0) micro_append_text(out, "%");
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.ptr[i];
        bool word = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
        if (word || (byte && strchr(plain, byte))) {
            micro_append(out, &byte, 1);
        } else {
            char escaped[3] = {'%', digits[byte >> 4], digits[byte & 15]};
            micro_append(out, escaped, 3);
        }
    }
}

static void encode_pair(micro_buffer *out, const char *prefix, component_string_t name, component_string_t value) {
    micro_append_text(out, " ");
    micro_append_text(out, prefix);
    encode(out, name);
    micro_append_text(out, "=");
    encode(out, value);
}

/* Lines */

typedef struct line {
    const char *at;
    const char *end;
} line;

/* The next word; NULL at the end of the line. */
static const char *word(line *line, size_t *length) {
    while (line->at < line->end && (*line->at == ' ' || *line->at == '\t' || *line->at == '\r')) line->at++;
    if (line->at == line->end) return NULL;
    const char *start = line->at;
    while (line->at < line->end && *line->at != ' ' && *line->at != '\t' && *line->at != '\r') line->at++;
    *length = (size_t)(line->at - start);
    return start;
}

static bool text(line *line, component_string_t *text) {
    size_t length;
    const char *found = word(line, &length);
    if (!found) return false;
    *text = length == 1 && *found == '%' ? (component_string_t){NULL, 0} : decoded(found, length);
    return true;
}

/* The two sides of NAME=VALUE. */
static bool pair(const char *word, size_t length, component_string_t *name, component_string_t *value) {
    const char *equals = memchr(word, '=', length);
    if (!equals) return false;
    size_t left = (size_t)(equals - word), right = length - left - 1;
    *name = left == 1 && *word == '%' ? (component_string_t){NULL, 0} : decoded(word, left);
    *value = right == 1 && equals[1] == '%' ? (component_string_t){NULL, 0} : decoded(equals + 1, right);
    return true;
}

static void add_metadata(metadata_t *metadata, component_string_t name, component_string_t value) {
    metadata->ptr = grown(metadata->ptr, metadata->len, sizeof *metadata->ptr);
    metadata->ptr[metadata->len++] = (component_tuple2_string_string_t){name, value};
}

static bool metadata(line *line, metadata_t *metadata) {
    size_t length;
    const char *found;
    while ((found = word(line, &length))) {
        component_string_t name, value;
        if (!pair(found, length, &name, &value)) return false;
        add_metadata(metadata, name, value);
    }
    return true;
}

static const char *const statuses[] = {"passing", "warning", "critical"};

static bool attribute(node_t *node, uint64_t *expires, const char *name, size_t name_length, component_string_t value) {
    if (name_length == 6 && memcmp(name, "status", 6) == 0) {
        for (uint8_t status = 0; status < 3; status++) {
            if (micro_is(value, statuses[status])) node->status = status;
        }
    } else if (name_length == 4 && memcmp(name, "zone", 4) == 0) {
        if (node->zone.is_some) return false;
        node->zone.is_some = true;
        node->zone.val = micro_dup(value);
    } else if (name_length == 3 && memcmp(name, "tag", 3) == 0) {
        node->tags.ptr = grown(node->tags.ptr, node->tags.len, sizeof *node->tags.ptr);
        node->tags.ptr[node->tags.len++] = micro_dup(value);
    } else if (name_length == 7 && memcmp(name, "expires", 7) == 0) {
        *expires = 0;
        for (size_t i = 0; i < value.len; i++) {
            if (value.ptr[i] < '0' || value.ptr[i] > '9' || *expires > UINT64_MAX / 100) return false;
            *expires = *expires * 10 + (uint64_t)(value.ptr[i] - '0');
        }
    } else {
        return false;
    }
    return true;
}

static bool parse_node(line *line, node_t *node, uint64_t *expires) {
    size_t length;
    const char *found;
    if (!text(line, &node->id) || !text(line, &node->address)) return false;
    while ((found = word(line, &length))) {
        component_string_t name, value;
        if (length > 5 && memcmp(found, "meta.", 5) == 0) {
            if (!pair(found + 5, length - 5, &name, &value)) return false;
            add_metadata(&node->metadata, name, value);
            continue;
        }
        if (!pair(found, length, &name, &value)) return false;
        bool known = attribute(node, expires, (const char *)name.ptr, name.len, value);
        component_string_free(&name);
        component_string_free(&value);
        if (!known) return false;
    }
    return true;
}

static bool parse_endpoint(line *line, endpoint_t *endpoint) {
    return text(line, &endpoint->name) && text(line, &endpoint->request_json) && text(line, &endpoint->response_json) &&
           metadata(line, &endpoint->metadata);
}

static void add_node(entry *entry, node_t node, uint64_t expires) {
    service_t *service = &entry->service;
    service->nodes.ptr = grown(service->nodes.ptr, service->nodes.len, sizeof node);
    entry->expires = grown(entry->expires, service->nodes.len, sizeof expires);
    entry->expires[service->nodes.len] = expires;
    service->nodes.ptr[service->nodes.len++] = node;
}

static bool parse_line(store *store, line *line, uint64_t now) {
    size_t length;
    const char *kind = word(line, &length);
    if (!kind || *kind == '#') return true;
    entry *last = store->length ? &store->entries[store->length - 1] : NULL;
    if (length == 7 && memcmp(kind, "service", 7) == 0) {
        store->entries = grown(store->entries, store->length, sizeof *store->entries);
        entry *added = &store->entries[store->length++];
        memset(added, 0, sizeof *added);
        return text(line, &added->service.name) && text(line, &added->service.version) &&
               metadata(line, &added->service.metadata);
    }
    if (last && length == 8 && memcmp(kind, "endpoint", 8) == 0) {
        endpoint_t endpoint = {0};
        bool ok = parse_endpoint(line, &endpoint);
        last->service.endpoints.ptr = grown(last->service.endpoints.ptr, last->service.endpoints.len, sizeof endpoint);
        last->service.endpoints.ptr[last->service.endpoints.len++] = endpoint;
        return ok;
    }
    if (last && length == 4 && memcmp(kind, "node", 4) == 0) {
        node_t node = {0};
        uint64_t expires = 0;
        bool ok = parse_node(line, &node, &expires);
        if (ok && (expires == 0 || expires > now)) add_node(last, node, expires);
        else node_free(&node);
        return ok;
    }
    return false;
}

bool store_parse(store *store, const char *data, size_t length, uint64_t now, char why[static 128]) {
    memset(store, 0, sizeof *store);
    const char *end = data + length;
    for (size_t number = 1; data < end; number++) {
        const char *stop = memchr(data, '\n', (size_t)(end - data));
        line line = {data, stop ? stop : end};
        if (!parse_line(store, &line, now)) {
            snprintf(why, 128, "line %zu is not as it must be", number);
            store_free(store);
            return false;
        }
        data = stop ? stop + 1 : end;
    }
    return true;
}

static void print_metadata(micro_buffer *out, const char *prefix, const metadata_t *metadata) {
    for (size_t i = 0; i < metadata->len; i++) encode_pair(out, prefix, metadata->ptr[i].f0, metadata->ptr[i].f1);
}

static void print_node(micro_buffer *out, const node_t *node, uint64_t expires) {
    micro_append_text(out, "node ");
    encode(out, node->id);
    micro_append_text(out, " ");
    encode(out, node->address);
    if (node->status > 0 && node->status < 3) {
        micro_append_text(out, " status=");
        micro_append_text(out, statuses[node->status]);
    }
    if (node->zone.is_some) {
        micro_append_text(out, " zone=");
        encode(out, node->zone.val);
    }
    for (size_t i = 0; i < node->tags.len; i++) {
        micro_append_text(out, " tag=");
        encode(out, node->tags.ptr[i]);
    }
    if (expires) {
        char number[40];
        snprintf(number, sizeof number, " expires=%llu", (unsigned long long)expires);
        micro_append_text(out, number);
    }
    print_metadata(out, "meta.", &node->metadata);
    micro_append_text(out, "\n");
}

void store_print(const store *store, micro_buffer *out) {
    for (size_t i = 0; i < store->length; i++) {
        const service_t *service = &store->entries[i].service;
        if (service->nodes.len == 0) continue;
        micro_append_text(out, "service ");
        encode(out, service->name);
        micro_append_text(out, " ");
        encode(out, service->version);
        print_metadata(out, "", &service->metadata);
        micro_append_text(out, "\n");
        for (size_t j = 0; j < service->endpoints.len; j++) {
            const endpoint_t *endpoint = &service->endpoints.ptr[j];
            micro_append_text(out, "endpoint ");
            encode(out, endpoint->name);
            micro_append_text(out, " ");
            encode(out, endpoint->request_json);
            micro_append_text(out, " ");
            encode(out, endpoint->response_json);
            print_metadata(out, "", &endpoint->metadata);
            micro_append_text(out, "\n");
        }
        for (size_t j = 0; j < service->nodes.len; j++) {
            print_node(out, &service->nodes.ptr[j], store->entries[i].expires[j]);
        }
    }
}

/* Changes */

static bool has_id(const service_t *service, component_string_t id) {
    for (size_t i = 0; i < service->nodes.len; i++) {
        if (micro_same(service->nodes.ptr[i].id, id)) return true;
    }
    return false;
}

void store_remove(store *store, const service_t *service) {
    for (size_t i = 0; i < store->length; i++) {
        entry *entry = &store->entries[i];
        size_t kept = 0;
        for (size_t j = 0; j < entry->service.nodes.len; j++) {
            node_t node = entry->service.nodes.ptr[j];
            if (has_id(service, node.id)) {
                node_free(&node);
                continue;
            }
            entry->expires[kept] = entry->expires[j];
            entry->service.nodes.ptr[kept++] = node;
        }
        entry->service.nodes.len = kept;
    }
}

void store_put(store *store, service_t *service, uint64_t expires) {
    store_remove(store, service);
    entry *found = NULL;
    for (size_t i = 0; i < store->length && !found; i++) {
        service_t *known = &store->entries[i].service;
        if (micro_same(known->name, service->name) && micro_same(known->version, service->version)) {
            found = &store->entries[i];
        }
    }
    if (!found) {
        store->entries = grown(store->entries, store->length, sizeof *store->entries);
        found = &store->entries[store->length++];
        memset(found, 0, sizeof *found);
    }
    /* The new one, with the nodes of the old one before its own. */
    entry old = *found;
    service_t fresh = *service;
    memset(service, 0, sizeof *service);
    *found = (entry){fresh, NULL};
    found->service.nodes.ptr = NULL;
    found->service.nodes.len = 0;
    for (size_t i = 0; i < old.service.nodes.len; i++) add_node(found, old.service.nodes.ptr[i], old.expires[i]);
    for (size_t i = 0; i < fresh.nodes.len; i++) add_node(found, fresh.nodes.ptr[i], expires);
    if (fresh.nodes.len) free(fresh.nodes.ptr);
    if (old.service.nodes.ptr) free(old.service.nodes.ptr);
    old.service.nodes.ptr = NULL;
    old.service.nodes.len = 0;
    free(old.expires);
    service_free(&old.service);
}

void store_free(store *store) {
    for (size_t i = 0; i < store->length; i++) {
        entry *entry = &store->entries[i];
        /* A list that was emptied has memory still. */
        if (entry->service.nodes.len == 0) free(entry->service.nodes.ptr);
        service_free(&entry->service);
        free(entry->expires);
    }
    free(store->entries);
    memset(store, 0, sizeof *store);
}

/* Copies */

static metadata_t metadata_copy(const metadata_t *metadata) {
    metadata_t copy = {micro_list(metadata->len, sizeof *metadata->ptr), metadata->len};
    for (size_t i = 0; i < metadata->len; i++) {
        copy.ptr[i].f0 = micro_dup(metadata->ptr[i].f0);
        copy.ptr[i].f1 = micro_dup(metadata->ptr[i].f1);
    }
    return copy;
}

static node_t node_copy(const node_t *node) {
    node_t copy = *node;
    copy.id = micro_dup(node->id);
    copy.address = micro_dup(node->address);
    copy.metadata = metadata_copy(&node->metadata);
    if (node->zone.is_some) copy.zone.val = micro_dup(node->zone.val);
    copy.tags.ptr = micro_list(node->tags.len, sizeof *node->tags.ptr);
    for (size_t i = 0; i < node->tags.len; i++) copy.tags.ptr[i] = micro_dup(node->tags.ptr[i]);
    return copy;
}

service_t service_copy(const service_t *service) {
    service_t copy = {0};
    copy.name = micro_dup(service->name);
    copy.version = micro_dup(service->version);
    copy.metadata = metadata_copy(&service->metadata);
    copy.endpoints.len = service->endpoints.len;
    copy.endpoints.ptr = micro_list(copy.endpoints.len, sizeof *copy.endpoints.ptr);
    for (size_t i = 0; i < copy.endpoints.len; i++) {
        const endpoint_t *endpoint = &service->endpoints.ptr[i];
        copy.endpoints.ptr[i].name = micro_dup(endpoint->name);
        copy.endpoints.ptr[i].request_json = micro_dup(endpoint->request_json);
        copy.endpoints.ptr[i].response_json = micro_dup(endpoint->response_json);
        copy.endpoints.ptr[i].metadata = metadata_copy(&endpoint->metadata);
    }
    copy.nodes.len = service->nodes.len;
    copy.nodes.ptr = micro_list(copy.nodes.len, sizeof *copy.nodes.ptr);
    for (size_t i = 0; i < copy.nodes.len; i++) copy.nodes.ptr[i] = node_copy(&service->nodes.ptr[i]);
    return copy;
}
