/* The file: services, and below each its endpoints and nodes, one a line. Words are percent-encoded and separated by spaces;
 * metadata is NAME=VALUE, times are milliseconds since 1970. Lines that are empty or begin with # are skipped.
 *
 *     service NAME VERSION [METADATA...]
 *     endpoint NAME REQUEST RESPONSE [METADATA...]
 *     node ID ADDRESS [status=STATUS] [zone=ZONE] [tag=TAG...] [expires=TIME] [meta.NAME=VALUE...]
 */
#ifndef STORE_H
#define STORE_H

#include "micro.h"

typedef exports_micro_registry_registry_service_t service_t;
typedef exports_micro_registry_registry_node_t node_t;
typedef exports_micro_registry_registry_endpoint_t endpoint_t;
typedef component_list_tuple2_string_string_t metadata_t;

/* A service of the file, and when the time of each of its nodes is over: milliseconds since 1970, 0 for never. */
typedef struct entry {
    service_t service;
    uint64_t *expires;
} entry;

typedef struct store {
    entry *entries;
    size_t length;
} store;

/* Reads the lines of a file, leaving out nodes whose time is over at `now`. False: `why` says which line is wrong. */
bool store_parse(store *store, const char *data, size_t length, uint64_t now, char why[static 128]);
/* The lines of a store, as store_parse reads them. */
void store_print(const store *store, micro_buffer *out);
/* Takes a service over: its metadata and endpoints count for its version, its nodes take the place of those with their ids. */
void store_put(store *store, service_t *service, uint64_t expires);
/* Removes the nodes with the ids of a service. */
void store_remove(store *store, const service_t *service);
void store_free(store *store);

/* Frees all of a service, and of a list of them. */
void service_free(service_t *service);
void services_free(exports_micro_registry_registry_list_service_t *services);

/* A copy of a service, to be given away. */
service_t service_copy(const service_t *service);

#endif
