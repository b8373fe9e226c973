/*
 * The part of NVML that Aliquot calls, over a scene in memory, so that the real binding's structs, counts and error
 * paths are exercised without a GPU. Written after NVIDIA's published description of the API.
 *
 * The scene is a text file (fake_load): one line per fact, see fake_load. The levers begin with fake_.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned int u32;
typedef unsigned long long u64;

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    TIMEOUT = 10, GPU_IS_LOST = 15, IN_USE = 19, INSUFFICIENT_RESOURCES = 23,
};

#define MAX_GPUS 32
#define MAX_PROFILES 32
#define MAX_COMPUTE 16
#define MAX_INSTANCES 16
#define MAX_PROCESSES 64
#define MAX_LINKS 36
#define NAME 96
#define NONE 0xFFFFFFFFu

typedef struct { u32 start, size; } placement_t;

typedef struct { u32 number, id, slices, sms, count; char name[NAME]; } compute_profile;

typedef struct {
    u32 number, id, slices, count, sms, copy, decoder, encoder, jpeg, ofa, memory_mib, placements;
    placement_t at[16];
    char name[NAME];
    u32 n_compute;
    compute_profile compute[MAX_COMPUTE];
} profile;

typedef struct { unsigned char cluster[16]; int status; u32 clique; unsigned char state, padding[3]; } fabric_t;

struct gpu;
struct instance;

typedef struct compute { struct instance *gi; u32 used, id; compute_profile *kind; char uuid[NAME]; } compute;

typedef struct instance {
    struct gpu *gpu;
    u32 used, id;
    profile *kind;
    placement_t at;
    compute ci[MAX_COMPUTE];
} instance;

typedef struct { u32 used, pid, gi, ci; u64 bytes; } process;

/* What a GPU measures; the order is that of FIGURES in conftest.py. */
enum {
    SM_MHZ, MEMORY_MHZ, CELSIUS, MEMORY_CELSIUS, MILLIWATTS, MILLIJOULES, REPLAYS, BUSY, MEMORY_BUSY, ENCODER, DECODER,
    CORRECTED_ROWS, UNCORRECTED_ROWS, REMAP_FAILED, RETIRED_SINGLE, RETIRED_DOUBLE, RETIRED_PENDING,
    UNCORRECTED_ERRORS, REMAP_PENDING, RECOVERY_ACTION,
    N_FIGURES
};
#define MISSING 0xFFFFFFFFFFFFFFFFull

typedef struct gpu {
    char magic;
    char uuid[NAME], bus[32], product[NAME];
    u32 minor, device_id, subsystem_id, memory_mib, major, minor_capability, mig_capable, mig, pending, needs_reset, lost,
        compute_mode;
    u32 n_profiles;
    profile profiles[MAX_PROFILES];
    instance gi[MAX_INSTANCES];
    process processes[MAX_PROCESSES];
    u64 figures[N_FIGURES];
    u32 level[MAX_GPUS];
    fabric_t fabric;
    int link_to[MAX_LINKS]; /* -1 inactive, -2 a switch, else a GPU's index */
} gpu;

/* Handles are pointers; the first byte tells a MIG device's from a GPU's. */
typedef struct { char magic; compute *ci; } mig_device;

static gpu gpus[MAX_GPUS];
static mig_device mig_devices[MAX_GPUS][MAX_INSTANCES * MAX_COMPUTE];
static u32 n_gpus, sessions, cuda, names = 1, placements_while_off = 1;
static u64 made;
static char driver[NAME];

typedef struct { gpu *device; u64 type, data; u32 gi, ci; } event_t;
static event_t queue[64];
static u32 n_queue;

/* --- the scene and the levers --- */

void fake_clear(void) {
    memset(gpus, 0, sizeof gpus);
    n_gpus = sessions = n_queue = 0;
    names = placements_while_off = 1;
    made = 0;
}

int fake_load(const char *path) {
    FILE *file = fopen(path, "r");
    char line[1024], kind[32];
    gpu *g = NULL;
    profile *p = NULL;
    if (!file) return 1;
    fake_clear();
    while (fgets(line, sizeof line, file)) {
        int at = 0;
        if (sscanf(line, "%31s %n", kind, &at) < 1) continue;
        char *rest = line + at;
        rest[strcspn(rest, "\n")] = 0;
        if (!strcmp(kind, "driver")) {
            sscanf(rest, "%95s %u", driver, &cuda);
        } else if (!strcmp(kind, "old")) { /* no names, no placements while MIG is off */
            names = placements_while_off = 0;
        } else if (!strcmp(kind, "gpu")) {
            g = &gpus[n_gpus++];
            g->magic = 'g';
            int n = 0;
            sscanf(rest, "%95s %31s %x %x %u %u %u %u %u %u %n", g->uuid, g->bus, &g->device_id, &g->subsystem_id,
                   &g->memory_mib, &g->major, &g->minor_capability, &g->mig_capable, &g->mig, &g->needs_reset, &n);
            g->pending = g->mig;
            g->minor = n_gpus - 1;
            for (int i = 0; g->major < 8 && i < 3; i++) g->figures[CORRECTED_ROWS + i] = MISSING;
            for (int i = 0; g->major >= 8 && i < 3; i++) g->figures[RETIRED_SINGLE + i] = MISSING;
            g->figures[RECOVERY_ACTION] = MISSING; /* as before R570 */
            snprintf(g->product, NAME, "%s", rest + n);
            for (int i = 0; i < MAX_LINKS; i++) g->link_to[i] = -1;
        } else if (!strcmp(kind, "profile")) {
            p = &g->profiles[g->n_profiles++];
            int n = 0, step = 0;
            u32 size, start;
            sscanf(rest, "%u %u %u %u %u %u %u %u %u %u %u %u %95s %n", &p->number, &p->id, &p->slices, &p->count, &p->sms,
                   &p->copy, &p->decoder, &p->encoder, &p->jpeg, &p->ofa, &p->memory_mib, &size, p->name, &n);
            for (char *s = rest + n; sscanf(s, "%u %n", &start, &step) == 1; s += step)
                p->at[p->placements++] = (placement_t){start, size};
        } else if (!strcmp(kind, "compute")) {
            compute_profile *c = &p->compute[p->n_compute++];
            sscanf(rest, "%u %u %u %u %u", &c->number, &c->id, &c->slices, &c->sms, &c->count);
        } else if (!strcmp(kind, "link")) {
            int number, to;
            sscanf(rest, "%d %d", &number, &to);
            g->link_to[number] = to;
        } else if (!strcmp(kind, "level")) {
            u32 peer, level;
            sscanf(rest, "%u %u", &peer, &level);
            g->level[peer] = level;
        }
    }
    fclose(file);
    return 0;
}

static gpu *by_uuid(const char *uuid) {
    for (u32 i = 0; i < n_gpus; i++)
        if (!strcmp(gpus[i].uuid, uuid)) return &gpus[i];
    return NULL;
}

int fake_process(const char *uuid, u32 pid, u32 gi, u32 ci, u64 bytes) {
    gpu *g = by_uuid(uuid);
    for (int i = 0; g && i < MAX_PROCESSES; i++)
        if (!g->processes[i].used) {
            g->processes[i] = (process){1, pid, gi, ci, bytes};
            return 0;
        }
    return 1;
}

void fake_end_process(u32 pid) {
    for (u32 n = 0; n < n_gpus; n++)
        for (int i = 0; i < MAX_PROCESSES; i++)
            if (gpus[n].processes[i].pid == pid) gpus[n].processes[i].used = 0;
}

void fake_xid(const char *uuid, u64 xid, u32 gi, u32 ci) { queue[n_queue++] = (event_t){by_uuid(uuid), 8, xid, gi, ci}; }

void fake_fail(const char *uuid, u32 code) { by_uuid(uuid)->lost = code; }
void fake_lose(const char *uuid) { fake_fail(uuid, GPU_IS_LOST); }

/* MISSING: it answers that it does not know. */
void fake_measure(const char *uuid, u32 figure, u64 value) { by_uuid(uuid)->figures[figure] = value; }

void fake_fabric(const char *uuid, const unsigned char *cluster, u32 clique, u32 state, int status) {
    fabric_t *fabric = &by_uuid(uuid)->fabric;
    *fabric = (fabric_t){{0}, status, clique, (unsigned char)state, {0xAA, 0xAA, 0xAA}};
    memcpy(fabric->cluster, cluster, sizeof fabric->cluster);
}

u32 fake_sessions(void) { return sessions; }

int fake_compute_mode(const char *uuid) { return (int)by_uuid(uuid)->compute_mode; }

/* What nvidia-smi --gpu-reset does. */
int fake_reset(const char *uuid) {
    gpu *g = by_uuid(uuid);
    if (!g) return NOT_FOUND;
    if (sessions) return IN_USE;
    memset(g->gi, 0, sizeof g->gi);
    g->mig = g->pending;
    return SUCCESS;
}

/* --- sessions --- */

int nvmlInitWithFlags(u32 flags) { (void)flags; sessions++; return SUCCESS; }
int nvmlShutdown(void) { if (!sessions) return UNINITIALIZED; sessions--; return SUCCESS; }

const char *nvmlErrorString(int code) {
    switch (code) {
    case IN_USE: return "In use by another client";
    case INSUFFICIENT_RESOURCES: return "Insufficient Resources";
    default: return "An error";
    }
}

#define SESSION if (!sessions) return UNINITIALIZED
#define ALIVE(g) SESSION; if ((g)->magic == 'g' && (g)->lost) return (int)(g)->lost

int nvmlSystemGetDriverVersion(char *version, u32 length) { SESSION; snprintf(version, length, "%s", driver); return SUCCESS; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { SESSION; *version = (int)cuda; return SUCCESS; }
int nvmlDeviceGetCount_v2(u32 *count) { SESSION; *count = n_gpus; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(u32 index, gpu **handle) {
    SESSION;
    if (index >= n_gpus) return INVALID_ARGUMENT;
    ALIVE(&gpus[index]);
    *handle = &gpus[index];
    return SUCCESS;
}

int nvmlDeviceGetUUID(gpu *g, char *uuid, u32 length) {
    SESSION; /* kept by the library: answers for a lost GPU too */
    const char *found = g->magic == 'm' ? ((mig_device *)g)->ci->uuid : g->uuid;
    if (strlen(found) >= length) return INSUFFICIENT_SIZE;
    strcpy(uuid, found);
    return SUCCESS;
}

int nvmlDeviceGetName(gpu *g, char *name, u32 length) { ALIVE(g); snprintf(name, length, "%s", g->product); return SUCCESS; }
int nvmlDeviceGetMinorNumber(gpu *g, u32 *minor) { ALIVE(g); *minor = g->minor; return SUCCESS; }

int nvmlDeviceGetCudaComputeCapability(gpu *g, int *major, int *minor) {
    ALIVE(g);
    *major = (int)g->major;
    *minor = (int)g->minor_capability;
    return SUCCESS;
}

typedef struct {
    char legacy[16];
    u32 domain, bus, device, device_id, subsystem;
    char bus_id[32];
} pci_t;

static void fill_pci(gpu *g, pci_t *pci) {
    memset(pci, 0, sizeof *pci);
    sscanf(g->bus, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device);
    snprintf(pci->bus_id, sizeof pci->bus_id, "%s", g->bus);
    pci->device_id = g->device_id;
    pci->subsystem = g->subsystem_id;
}

int nvmlDeviceGetPciInfo_v3(gpu *g, pci_t *pci) { ALIVE(g); fill_pci(g, pci); return SUCCESS; }

/* --- what it measures --- */

typedef struct { u64 total, reserved, used; } usage;

/* Of a GPU, or of the GPU instance that a MIG device is in. The driver keeps the 128th part for itself. */
static int memory_of(gpu *g, usage *out) {
    instance *gi = g->magic == 'm' ? ((mig_device *)g)->ci->gi : NULL;
    if (gi) g = gi->gpu;
    ALIVE(g);
    u64 mib = gi ? gi->kind->memory_mib : g->memory_mib;
    if (!mib) return NOT_SUPPORTED;
    *out = (usage){mib << 20, mib / 128 << 20, 0};
    for (int i = 0; i < MAX_PROCESSES; i++) {
        process *p = &g->processes[i];
        if (p->used && p->bytes != MISSING && (!gi || p->gi == gi->id)) out->used += p->bytes;
    }
    return SUCCESS;
}

typedef struct { u64 total, free, used; } memory_v1;
typedef struct { u32 version; u64 total, reserved, free, used; } memory_v2;

int nvmlDeviceGetMemoryInfo(gpu *g, memory_v1 *out) {
    usage found;
    int code = memory_of(g, &found);
    if (code != SUCCESS) return code;
    u64 used = found.used + found.reserved;
    *out = (memory_v1){found.total, found.total - used, used};
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(gpu *g, memory_v2 *out) {
    usage found;
    if (out->version != (sizeof *out | 2u << 24)) return 25; /* argument version mismatch */
    if (!names) return 13; /* function not found */
    int code = memory_of(g, &found);
    if (code != SUCCESS) return code;
    *out = (memory_v2){out->version, found.total, found.reserved, found.total - found.reserved - found.used, found.used};
    return SUCCESS;
}

#define TELL(g, figure, out)                                                                                          \
    ALIVE(g);                                                                                                         \
    if ((g)->figures[figure] == MISSING) return NOT_SUPPORTED;                                                        \
    *(out) = (u32)(g)->figures[figure]
#define WHOLE(g) if ((g)->mig) return NOT_SUPPORTED

int nvmlDeviceGetClockInfo(gpu *g, u32 clock, u32 *mhz) {
    if (clock != 1 && clock != 2) return INVALID_ARGUMENT;
    TELL(g, clock == 1 ? SM_MHZ : MEMORY_MHZ, mhz);
    return SUCCESS;
}

int nvmlDeviceGetTemperature(gpu *g, u32 sensor, u32 *celsius) {
    if (sensor) return INVALID_ARGUMENT;
    TELL(g, CELSIUS, celsius);
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(gpu *g, u32 *milliwatts) { TELL(g, MILLIWATTS, milliwatts); return SUCCESS; }

typedef struct { u32 gpu, memory; } utilization;

int nvmlDeviceGetUtilizationRates(gpu *g, utilization *out) {
    WHOLE(g);
    TELL(g, BUSY, &out->gpu);
    TELL(g, MEMORY_BUSY, &out->memory);
    return SUCCESS;
}

int nvmlDeviceGetEncoderUtilization(gpu *g, u32 *percent, u32 *period_us) {
    WHOLE(g);
    TELL(g, ENCODER, percent);
    *period_us = 167000;
    return SUCCESS;
}

int nvmlDeviceGetDecoderUtilization(gpu *g, u32 *percent, u32 *period_us) {
    WHOLE(g);
    TELL(g, DECODER, percent);
    *period_us = 167000;
    return SUCCESS;
}

int nvmlDeviceGetPcieReplayCounter(gpu *g, u32 *replays) { TELL(g, REPLAYS, replays); return SUCCESS; }

int nvmlDeviceGetTotalEnergyConsumption(gpu *g, u64 *millijoules) {
    ALIVE(g);
    if (g->figures[MILLIJOULES] == MISSING) return NOT_SUPPORTED;
    *millijoules = g->figures[MILLIJOULES];
    return SUCCESS;
}

int nvmlDeviceGetRemappedRows(gpu *g, u32 *corrected, u32 *uncorrected, u32 *pending, u32 *failed) {
    TELL(g, CORRECTED_ROWS, corrected);
    TELL(g, UNCORRECTED_ROWS, uncorrected);
    TELL(g, REMAP_PENDING, pending);
    TELL(g, REMAP_FAILED, failed);
    return SUCCESS;
}

int nvmlDeviceGetTotalEccErrors(gpu *g, u32 uncorrected, u32 aggregate, u64 *count) {
    if (uncorrected != 1 || aggregate) return INVALID_ARGUMENT;
    TELL(g, UNCORRECTED_ERRORS, count);
    return SUCCESS;
}

typedef union { double d; u32 u; unsigned long ul; u64 ull; long long sll; int i; unsigned short us; } value_t;
typedef struct { u32 field, scope; long long timestamp, latency_us; u32 type; int code; value_t value; } field_t;
enum { UNSIGNED_INT = 1, UNSIGNED_LONG_LONG = 3, SIGNED_INT = 5 };

int nvmlDeviceGetFieldValues(gpu *g, int count, field_t *fields) {
    static const struct { u32 field, figure, type; } known[] = {
        {29, RETIRED_SINGLE, UNSIGNED_LONG_LONG}, {30, RETIRED_DOUBLE, UNSIGNED_LONG_LONG},
        {31, RETIRED_PENDING, SIGNED_INT}, {82, MEMORY_CELSIUS, UNSIGNED_INT},
        {230, RECOVERY_ACTION, UNSIGNED_INT},
    };
    ALIVE(g);
    for (int i = 0; i < count; i++) {
        fields[i].code = NOT_SUPPORTED;
        memset(&fields[i].value, 0xAA, sizeof fields[i].value); /* whoever reads the wrong member sees it */
        for (u32 k = 0; k < sizeof known / sizeof *known; k++) {
            u64 figure = g->figures[known[k].figure];
            if (known[k].field != fields[i].field || figure == MISSING) continue;
            fields[i].code = SUCCESS;
            fields[i].type = known[k].type;
            if (known[k].type == UNSIGNED_LONG_LONG) fields[i].value.ull = figure;
            else if (known[k].type == SIGNED_INT) fields[i].value.i = (int)figure;
            else fields[i].value.u = (u32)figure;
        }
    }
    return SUCCESS;
}

typedef struct { u32 pid; u64 bytes; u32 gi, ci; } process_t;

int nvmlDeviceGetComputeRunningProcesses_v3(gpu *g, u32 *count, process_t *out) {
    ALIVE(g);
    u32 found = 0, room = *count;
    for (int i = 0; i < MAX_PROCESSES; i++) {
        process *p = &g->processes[i];
        if (!p->used) continue;
        if (out && found < room) out[found] = (process_t){p->pid, p->bytes, p->gi, p->ci};
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

/* --- events --- */

typedef struct { gpu *registered[MAX_GPUS]; } event_set;

int nvmlEventSetCreate(event_set **set) { SESSION; *set = calloc(1, sizeof **set); return SUCCESS; }
int nvmlEventSetFree(event_set *set) { SESSION; free(set); return SUCCESS; }

int nvmlDeviceRegisterEvents(gpu *g, u64 types, event_set *set) {
    ALIVE(g);
    if (types != 8) return NOT_SUPPORTED;
    set->registered[g - gpus] = g;
    return SUCCESS;
}

int nvmlEventSetWait_v2(event_set *set, event_t *event, u32 timeout_ms) {
    SESSION;
    for (u32 i = 0; i < n_queue; i++)
        if (set->registered[queue[i].device - gpus]) {
            *event = queue[i];
            memmove(&queue[i], &queue[i + 1], (--n_queue - i) * sizeof queue[0]);
            return SUCCESS;
        }
    for (u32 i = 0; i < n_gpus; i++)
        if (set->registered[i] && gpus[i].lost) return (int)gpus[i].lost;
    usleep(timeout_ms * 1000);
    return TIMEOUT;
}

/* --- links --- */

int nvmlDeviceGetNvLinkState(gpu *g, u32 link, u32 *active) {
    ALIVE(g);
    if (link >= 18) return INVALID_ARGUMENT;
    int any = 0;
    for (int i = 0; i < MAX_LINKS; i++) any |= g->link_to[i] != -1;
    if (!any) return NOT_SUPPORTED;
    *active = g->link_to[link] != -1;
    return SUCCESS;
}

int nvmlDeviceGetNvLinkRemoteDeviceType(gpu *g, u32 link, u32 *type) {
    ALIVE(g);
    *type = g->link_to[link] == -2 ? 2 : 0;
    return SUCCESS;
}

int nvmlDeviceGetNvLinkRemotePciInfo_v2(gpu *g, u32 link, pci_t *pci) {
    ALIVE(g);
    if (g->link_to[link] < 0) return NOT_SUPPORTED;
    fill_pci(&gpus[g->link_to[link]], pci);
    return SUCCESS;
}

int nvmlDeviceGetGpuFabricInfo(gpu *g, fabric_t *out) {
    ALIVE(g);
    if (!g->fabric.state) return NOT_SUPPORTED;
    *out = g->fabric;
    return SUCCESS;
}

int nvmlDeviceGetTopologyCommonAncestor(gpu *a, gpu *b, u32 *level) {
    ALIVE(a);
    ALIVE(b);
    *level = a->level[b - gpus];
    return SUCCESS;
}

/* --- MIG mode --- */

static int busy(gpu *g, u32 gi, u32 ci) {
    for (int i = 0; i < MAX_PROCESSES; i++) {
        process *p = &g->processes[i];
        if (p->used && (gi == NONE || (p->gi == gi && (ci == NONE || p->ci == ci)))) return 1;
    }
    return 0;
}

int nvmlDeviceGetMigMode(gpu *g, u32 *current, u32 *pending) {
    ALIVE(g);
    if (!g->mig_capable) return NOT_SUPPORTED;
    *current = g->mig;
    *pending = g->pending;
    return SUCCESS;
}

int nvmlDeviceSetMigMode(gpu *g, u32 mode, u32 *activation) {
    ALIVE(g);
    if (!g->mig_capable) return NOT_SUPPORTED;
    *activation = SUCCESS;
    if (g->needs_reset) {
        g->pending = mode;
        if (g->mig != mode) *activation = IN_USE; /* this very session is a client */
    } else if (g->mig != mode && busy(g, NONE, NONE)) {
        *activation = IN_USE;
    } else {
        g->mig = g->pending = mode;
    }
    return SUCCESS;
}

int nvmlDeviceSetComputeMode(gpu *g, u32 mode) {
    ALIVE(g);
    if (mode > 3) return INVALID_ARGUMENT;
    if (g->mig) return NOT_SUPPORTED;
    g->compute_mode = mode;
    return SUCCESS;
}

/* --- profiles --- */

typedef struct {
    u32 version, id, p2p, slices, count, sms, copy, decoder, encoder, jpeg, ofa;
    u64 memory_mib;
    char name[NAME];
} profile_v2;

typedef struct {
    u32 id, p2p, slices, count, sms, copy, decoder, encoder, jpeg, ofa;
    u64 memory_mib;
} profile_v1;

static profile *by_number(gpu *g, u32 number) {
    for (u32 i = 0; i < g->n_profiles; i++)
        if (g->profiles[i].number == number) return &g->profiles[i];
    return NULL;
}

static profile *by_id(gpu *g, u32 id) {
    for (u32 i = 0; i < g->n_profiles; i++)
        if (g->profiles[i].id == id) return &g->profiles[i];
    return NULL;
}

int nvmlDeviceGetGpuInstanceProfileInfo(gpu *g, u32 number, profile_v1 *out) {
    ALIVE(g);
    if (number > 17) return INVALID_ARGUMENT;
    profile *p = by_number(g, number);
    if (!p || (!placements_while_off && !g->mig)) return NOT_SUPPORTED;
    *out = (profile_v1){p->id, 0, p->slices, p->count, p->sms, p->copy, p->decoder, p->encoder, p->jpeg, p->ofa, p->memory_mib};
    return SUCCESS;
}

int nvmlDeviceGetGpuInstanceProfileInfoV(gpu *g, u32 number, profile_v2 *out) {
    ALIVE(g);
    if (out->version != (sizeof *out | 2u << 24)) return 25; /* argument version mismatch */
    if (!names) return 13; /* function not found, as an older library would say by not having it */
    if (number > 17) return INVALID_ARGUMENT;
    profile *p = by_number(g, number);
    if (!p) return NOT_SUPPORTED;
    *out = (profile_v2){out->version, p->id, 0, p->slices, p->count, p->sms, p->copy, p->decoder, p->encoder, p->jpeg, p->ofa,
                        p->memory_mib, ""};
    snprintf(out->name, NAME, "MIG %.90s", p->name);
    return SUCCESS;
}

int nvmlDeviceGetGpuInstancePossiblePlacements_v2(gpu *g, u32 id, placement_t *out, u32 *count) {
    ALIVE(g);
    profile *p = by_id(g, id);
    if (!p) return INVALID_ARGUMENT;
    if (!placements_while_off && !g->mig) return NOT_SUPPORTED;
    if (out && *count < p->placements) return INSUFFICIENT_SIZE;
    if (out) memcpy(out, p->at, p->placements * sizeof *out);
    *count = p->placements;
    return SUCCESS;
}

/* --- GPU instances --- */

static int overlap(placement_t a, placement_t b) { return a.start < b.start + b.size && b.start < a.start + a.size; }
static int media(profile *p) { return strstr(p->name, "+me") != NULL; }

static int create(gpu *g, profile *p, placement_t at, instance **out) {
    u32 id = 0, slots = 0;
    for (u32 i = 0; i < g->n_profiles; i++)
        for (u32 j = 0; j < g->profiles[i].placements; j++)
            if (g->profiles[i].at[j].start + g->profiles[i].at[j].size > slots)
                slots = g->profiles[i].at[j].start + g->profiles[i].at[j].size;
    for (int i = 0; i < MAX_INSTANCES; i++) {
        instance *other = &g->gi[i];
        if (other->used && (overlap(other->at, at) || (media(p) && media(other->kind)))) return INSUFFICIENT_RESOURCES;
    }
    id = slots / at.size - 1 + at.start / at.size;
    for (int i = 0; i < MAX_INSTANCES; i++)
        if (!g->gi[i].used) {
            memset(&g->gi[i], 0, sizeof g->gi[i]);
            g->gi[i].gpu = g;
            g->gi[i].used = 1;
            g->gi[i].id = id;
            g->gi[i].kind = p;
            g->gi[i].at = at;
            *out = &g->gi[i];
            return SUCCESS;
        }
    return INSUFFICIENT_RESOURCES;
}

int nvmlDeviceCreateGpuInstance(gpu *g, u32 id, instance **out) {
    ALIVE(g);
    if (!g->mig) return NOT_SUPPORTED;
    profile *p = by_id(g, id);
    if (!p) return INVALID_ARGUMENT;
    for (u32 i = 0; i < p->placements; i++)
        if (create(g, p, p->at[i], out) == SUCCESS) return SUCCESS;
    return INSUFFICIENT_RESOURCES;
}

int nvmlDeviceCreateGpuInstanceWithPlacement(gpu *g, u32 id, const placement_t *at, instance **out) {
    ALIVE(g);
    if (!g->mig) return NOT_SUPPORTED;
    profile *p = by_id(g, id);
    if (!p) return INVALID_ARGUMENT;
    for (u32 i = 0; i < p->placements; i++)
        if (p->at[i].start == at->start && p->at[i].size == at->size) return create(g, p, *at, out);
    return INVALID_ARGUMENT;
}

int nvmlDeviceGetGpuInstances(gpu *g, u32 id, instance **out, u32 *count) {
    ALIVE(g);
    if (!g->mig) return NOT_SUPPORTED;
    *count = 0;
    for (int i = 0; i < MAX_INSTANCES; i++)
        if (g->gi[i].used && g->gi[i].kind->id == id) out[(*count)++] = &g->gi[i];
    return SUCCESS;
}

int nvmlDeviceGetGpuInstanceById(gpu *g, u32 id, instance **out) {
    ALIVE(g);
    for (int i = 0; i < MAX_INSTANCES; i++)
        if (g->gi[i].used && g->gi[i].id == id) {
            *out = &g->gi[i];
            return SUCCESS;
        }
    return NOT_FOUND;
}

typedef struct { gpu *device; u32 id, profile; placement_t at; } instance_info;

int nvmlGpuInstanceGetInfo(instance *gi, instance_info *info) {
    SESSION;
    if (!gi->used) return NOT_FOUND;
    *info = (instance_info){gi->gpu, gi->id, gi->kind->id, gi->at};
    return SUCCESS;
}

int nvmlGpuInstanceDestroy(instance *gi) {
    SESSION;
    if (!gi->used) return NOT_FOUND;
    for (int i = 0; i < MAX_COMPUTE; i++)
        if (gi->ci[i].used) return IN_USE;
    gi->used = 0;
    return SUCCESS;
}

/* --- compute instances --- */

typedef struct { u32 version, id, slices, count, sms, copy, decoder, encoder, jpeg, ofa; char name[NAME]; } compute_v2;
typedef struct { u32 id, slices, count, sms, copy, decoder, encoder, jpeg, ofa; } compute_v1;

static compute_profile *compute_by_number(instance *gi, u32 number) {
    for (u32 i = 0; i < gi->kind->n_compute; i++)
        if (gi->kind->compute[i].number == number) return &gi->kind->compute[i];
    return NULL;
}

int nvmlGpuInstanceGetComputeInstanceProfileInfo(instance *gi, u32 number, u32 engine, compute_v1 *out) {
    SESSION;
    if (number > 8 || engine) return INVALID_ARGUMENT;
    compute_profile *c = compute_by_number(gi, number);
    if (!c) return NOT_SUPPORTED;
    *out = (compute_v1){c->id, c->slices, c->count, c->sms, 0, 0, 0, 0, 0};
    return SUCCESS;
}

int nvmlGpuInstanceGetComputeInstanceProfileInfoV(instance *gi, u32 number, u32 engine, compute_v2 *out) {
    SESSION;
    if (out->version != (sizeof *out | 2u << 24)) return 25;
    if (!names) return 13;
    if (number > 8 || engine) return INVALID_ARGUMENT;
    compute_profile *c = compute_by_number(gi, number);
    if (!c) return NOT_SUPPORTED;
    *out = (compute_v2){out->version, c->id, c->slices, c->count, c->sms, 0, 0, 0, 0, 0, "MIG"};
    return SUCCESS;
}

int nvmlGpuInstanceCreateComputeInstance(instance *gi, u32 id, compute **out) {
    SESSION;
    compute_profile *kind = NULL;
    u32 left = gi->kind->slices;
    for (u32 i = 0; i < gi->kind->n_compute; i++)
        if (gi->kind->compute[i].id == id) kind = &gi->kind->compute[i];
    if (!kind) return INVALID_ARGUMENT;
    u32 same = 0;
    for (int i = 0; i < MAX_COMPUTE; i++)
        if (gi->ci[i].used) {
            left -= gi->ci[i].kind->slices;
            same += gi->ci[i].kind == kind;
        }
    if (kind->slices > left || same >= kind->count) return INSUFFICIENT_RESOURCES;
    for (u32 i = 0; i < MAX_COMPUTE; i++)
        if (!gi->ci[i].used) {
            gi->ci[i] = (compute){gi, 1, i, kind, ""};
            snprintf(gi->ci[i].uuid, NAME, "MIG-00000000-0000-5000-8000-%012llu", ++made);
            *out = &gi->ci[i];
            return SUCCESS;
        }
    return INSUFFICIENT_RESOURCES;
}

int nvmlGpuInstanceGetComputeInstances(instance *gi, u32 id, compute **out, u32 *count) {
    SESSION;
    *count = 0;
    for (int i = 0; i < MAX_COMPUTE; i++)
        if (gi->ci[i].used && gi->ci[i].kind->id == id) out[(*count)++] = &gi->ci[i];
    return SUCCESS;
}

int nvmlGpuInstanceGetComputeInstanceById(instance *gi, u32 id, compute **out) {
    SESSION;
    if (id >= MAX_COMPUTE || !gi->ci[id].used) return NOT_FOUND;
    *out = &gi->ci[id];
    return SUCCESS;
}

typedef struct { gpu *device; instance *gi; u32 id, profile; placement_t at; } compute_info;

int nvmlComputeInstanceGetInfo_v2(compute *ci, compute_info *info) {
    SESSION;
    if (!ci->used) return NOT_FOUND;
    *info = (compute_info){ci->gi->gpu, ci->gi, ci->id, ci->kind->id, {0, ci->kind->slices}};
    return SUCCESS;
}

int nvmlComputeInstanceDestroy(compute *ci) {
    SESSION;
    if (!ci->used) return NOT_FOUND;
    if (busy(ci->gi->gpu, ci->gi->id, ci->id)) return IN_USE;
    ci->used = 0;
    return SUCCESS;
}

/* --- MIG devices: a sparse array, as in the real thing --- */

int nvmlDeviceGetMaxMigDeviceCount(gpu *g, u32 *count) { ALIVE(g); *count = 8; return SUCCESS; }

int nvmlDeviceGetMigDeviceHandleByIndex(gpu *g, u32 index, mig_device **out) {
    ALIVE(g);
    u32 n = 1; /* index 0 stays empty: callers must not stop there */
    if (index >= 8) return INVALID_ARGUMENT;
    for (int i = 0; i < MAX_INSTANCES; i++)
        for (int j = 0; g->gi[i].used && j < MAX_COMPUTE; j++)
            if (g->gi[i].ci[j].used && n++ == index) {
                mig_device *device = &mig_devices[g - gpus][i * MAX_COMPUTE + j];
                *device = (mig_device){'m', &g->gi[i].ci[j]};
                *out = device;
                return SUCCESS;
            }
    return NOT_FOUND;
}

int nvmlDeviceGetGpuInstanceId(mig_device *device, u32 *id) { SESSION; *id = device->ci->gi->id; return SUCCESS; }
int nvmlDeviceGetComputeInstanceId(mig_device *device, u32 *id) { SESSION; *id = device->ci->id; return SUCCESS; }
