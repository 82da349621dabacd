/*
 * What counting and recording an exchange have in common: the classes in Python, and where their members lie.
 */
#ifndef CORPPROXY_BOOKS_H
#define CORPPROXY_BOOKS_H
#include "module.h"
#include "slots.h"

/* Seen by the files of this part alone, so that they reach it as they reach what is static. */
#pragma GCC visibility push(hidden)

/* Class, member, name of the member. */
#define MEMBERS(M)                                                                                                     \
    M(account, categories, "categories")                                                                               \
    M(account, counted_received, "counted_received")                                                                   \
    M(account, counted_sent, "counted_sent")                                                                           \
    M(account, device, "device")                                                                                       \
    M(account, groups, "groups")                                                                                       \
    M(account, host, "host")                                                                                           \
    M(account, received, "received")                                                                                   \
    M(account, rule, "rule")                                                                                           \
    M(account, sent, "sent")                                                                                           \
    M(account, user, "user")                                                                                           \
    M(accounts, ledger, "ledger")                                                                                      \
    M(accounts, running, "_running")                                                                                   \
    M(books, accounts, "_accounts")                                                                                    \
    M(books, forgotten, "forgotten")                                                                                   \
    M(books, look, "look")                                                                                             \
    M(books, naming, "naming")                                                                                         \
    M(books, now, "_now")                                                                                              \
    M(books, recorded, "_recorded")                                                                                    \
    M(books, sheet, "_sheet")                                                                                          \
    M(books, watch, "_watch")                                                                                          \
    M(books, writer, "_writer")                                                                                        \
    M(decided, agent, "_agent")                                                                                        \
    M(decided, in_force, "_in_force")                                                                                  \
    M(decided, known, "_known")                                                                                        \
    M(decision, category, "category")                                                                                  \
    M(decision, granted, "granted")                                                                                    \
    M(decision, rule, "rule")                                                                                          \
    M(destination, categories, "categories")                                                                           \
    M(destination, host, "host")                                                                                       \
    M(destination, path, "path")                                                                                       \
    M(destination, port, "port")                                                                                       \
    M(destination, scheme, "scheme")                                                                                   \
    M(discretion, levels, "levels")                                                                                    \
    M(exchange, account, "account")                                                                                    \
    M(exchange, address_classes, "address_classes")                                                                    \
    M(exchange, addresses, "addresses")                                                                                \
    M(exchange, answer, "answer")                                                                                      \
    M(exchange, asns, "asns")                                                                                          \
    M(exchange, client, "client")                                                                                      \
    M(exchange, connect_ms, "connect_ms")                                                                              \
    M(exchange, countries, "countries")                                                                                \
    M(exchange, decision, "decision")                                                                                  \
    M(exchange, destination, "destination")                                                                            \
    M(exchange, ended, "ended")                                                                                        \
    M(exchange, failure, "failure")                                                                                    \
    M(exchange, fields, "fields")                                                                                      \
    M(exchange, first_octet_seconds, "first_octet_seconds")                                                            \
    M(exchange, held, "held")                                                                                          \
    M(exchange, identity, "identity")                                                                                  \
    M(exchange, in_force, "in_force")                                                                                  \
    M(exchange, known, "known")                                                                                        \
    M(exchange, limited, "limited")                                                                                    \
    M(exchange, listener, "listener")                                                                                  \
    M(exchange, method, "method")                                                                                      \
    M(exchange, opened, "opened")                                                                                      \
    M(exchange, phase, "phase")                                                                                        \
    M(exchange, reference, "reference")                                                                                \
    M(exchange, resolve_seconds, "resolve_seconds")                                                                    \
    M(exchange, result, "result")                                                                                      \
    M(exchange, server_name, "server_name")                                                                            \
    M(exchange, started, "started")                                                                                    \
    M(exchange, status, "status")                                                                                      \
    M(exchange, up_received, "up_received")                                                                            \
    M(exchange, up_sent, "up_sent")                                                                                    \
    M(exchange, upstream, "upstream")                                                                                  \
    M(host, name, "name")                                                                                              \
    M(identity, exempt_by, "exempt_by")                                                                                \
    M(identity, groups, "groups")                                                                                      \
    M(identity, groups_from, "groups_from")                                                                            \
    M(identity, name, "name")                                                                                          \
    M(identity, source, "source")                                                                                      \
    M(in_force, discretion, "discretion")                                                                              \
    M(known, record, "record")                                                                                         \
    M(ledger, max_sums, "_max_sums")                                                                                   \
    M(ledger, sums, "_sums")                                                                                           \
    M(record, agent, "agent")                                                                                          \
    M(record, at, "at")                                                                                                \
    M(record, client, "client")                                                                                        \
    M(record, connect_ms, "connect_ms")                                                                                \
    M(record, decision, "decision")                                                                                    \
    M(record, exemption, "exemption")                                                                                  \
    M(record, first_octet_ms, "first_octet_ms")                                                                        \
    M(record, groups, "groups")                                                                                        \
    M(record, groups_from, "groups_from")                                                                              \
    M(record, host, "host")                                                                                            \
    M(record, id, "id")                                                                                                \
    M(record, kind, "kind")                                                                                            \
    M(record, method, "method")                                                                                        \
    M(record, path, "path")                                                                                            \
    M(record, port, "port")                                                                                            \
    M(record, received, "received")                                                                                    \
    M(record, resolve_ms, "resolve_ms")                                                                                \
    M(record, result, "result")                                                                                        \
    M(record, seconds, "seconds")                                                                                      \
    M(record, sent, "sent")                                                                                            \
    M(record, server_name, "server_name")                                                                              \
    M(record, source, "source")                                                                                        \
    M(record, status, "status")                                                                                        \
    M(record, up_received, "up_received")                                                                              \
    M(record, up_sent, "up_sent")                                                                                      \
    M(record, upstream, "upstream")                                                                                    \
    M(record, user, "user")                                                                                            \
    M(recorded, decided, "decided")

#define CLASSES(C)                                                                                                     \
    C(account) C(accounts) C(books) C(decided) C(decision) C(destination) C(discretion) C(exchange) C(host)            \
    C(identity) C(in_force) C(known) C(ledger) C(record) C(recorded)

#define A_CLASS(class) extern PyTypeObject *class##_class;
#define A_MEMBER(class, member, text) extern Py_ssize_t class##_##member;
CLASSES(A_CLASS)
MEMBERS(A_MEMBER)
#undef A_CLASS
#undef A_MEMBER

#define IS(class, object) ((object) && Py_IS_TYPE((object), class##_class))

/* Whether the account of an exchange can be counted here: all is there, and as it always is. */
int is_countable(PyObject *exchange, PyObject *accounts);

/* Count from now on, or what is left and the exchange itself; -1 with an exception. */
int open_account(PyObject *exchange, PyObject *accounts);
int close_account(PyObject *exchange, PyObject *accounts, double now);

/* Numbers that are counted with, made once. */
extern PyObject *number_one, *number_nought;
int keep_numbers(void);

/* A copy of a record, and the kinds and results that are known: in books.c. */
PyObject *copied_record(PyObject *record);
extern PyObject *result_forwarded, *result_tunnelled, *kind_closing;

/* What counts for the metrics, borrowed: in figures.c. */
typedef struct {
    int is_tunnel;
    PyObject *decision, *method, *received, *result, *seconds, *sent, *status;
} Figures;

/* The telemetry whose `exchange` this is, borrowed; NULL where it is something else. */
PyObject *telemetry_of(PyObject *watch);

/* Count an exchange that is over; 0 where that is left to the twin, -1 with an exception. */
int count_figures(PyObject *telemetry, const Figures *figures);

PyObject *counting(PyObject *module, PyObject *telemetry);
PyObject *set_figures(PyObject *module, PyObject *args);

#pragma GCC visibility pop

#endif
