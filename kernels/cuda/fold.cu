// Twin of kernels.fold.fold without vector features. Names in capitals come from kernels.layout, see
// kernels/cuda/program.py. Compiled without contraction of products and sums, so that every double has the CPU's bits.
//
// A block takes ROWS rows, sorted by cell, of one feature; beyond the last feature stands the record itself: rows,
// errors, offsets, latency. Where all rows of the block belong to one cell, they are counted in shared memory and
// reduced before they are added, else each thread adds for itself.

typedef long long int64;
typedef unsigned long long uint64;

SHARED_COUNTS

struct Part {
    int64 sum, low, high, null, broken;
    double least, most;
};

__device__ void add(int64 *to, int64 amount) {
    if (amount != 0) atomicAdd((uint64 *)to, (uint64)amount);
}

__device__ double as_double(uint64 bits) { return __longlong_as_double((int64)bits); }

__device__ void take_least(double *to, double x) {
    uint64 *place = (uint64 *)to, old = *(volatile uint64 *)to;
    while (x < as_double(old)) {
        uint64 seen = atomicCAS(place, old, (uint64)__double_as_longlong(x));
        if (seen == old) return;
        old = seen;
    }
}

__device__ void take_most(double *to, double x) {
    uint64 *place = (uint64 *)to, old = *(volatile uint64 *)to;
    while (x > as_double(old)) {
        uint64 seen = atomicCAS(place, old, (uint64)__double_as_longlong(x));
        if (seen == old) return;
        old = seen;
    }
}

// Offsets are not negative; -1 stands for none.
__device__ void take_first(int64 *to, int64 offset) {
    uint64 *place = (uint64 *)to, old = *(volatile uint64 *)to;
    while ((int64)old < 0 || offset < (int64)old) {
        uint64 seen = atomicCAS(place, old, (uint64)offset);
        if (seen == old) return;
        old = seen;
    }
}

__device__ void take_last(int64 *to, int64 offset) {
    uint64 *place = (uint64 *)to, old = *(volatile uint64 *)to;
    while (offset > (int64)old) {
        uint64 seen = atomicCAS(place, old, (uint64)offset);
        if (seen == old) return;
        old = seen;
    }
}

__device__ int64 sum_of_block(int64 mine) {
    __shared__ int64 room[THREADS];
    room[threadIdx.x] = mine;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
        __syncthreads();
    }
    int64 total = room[0];
    __syncthreads();
    return total;
}

__device__ double least_of_block(double mine) {
    __shared__ double room[THREADS];
    room[threadIdx.x] = mine;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half && room[threadIdx.x + half] < room[threadIdx.x])
            room[threadIdx.x] = room[threadIdx.x + half];
        __syncthreads();
    }
    double least = room[0];
    __syncthreads();
    return least;
}

__device__ void clear_part(Part *part) {
    part->sum = part->low = part->high = part->null = part->broken = 0;
    part->least = DOUBLE_INFINITY;
    part->most = -DOUBLE_INFINITY;
}

// How many of the ascending edges are <= x; 0 for NaN.
__device__ int edges_below(const double *edges, int count, double x) {
    int low = 0;
    while (count > 0) {
        int half = count >> 1;
        if (edges[low + half] <= x) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

__device__ int latency_bin(const double *edges, double ms) {
    if (!(ms >= 0.0)) return 0;
    int base = 1, length = LATENCY_BINS - 1;
    while (length > 1) {
        int half = length >> 1;
        if (edges[base + half - 1] < ms) base += half;
        length -= half;
    }
    return base;
}

__device__ void add_moment(Part *part, double x, double center, double scale) {
    double rate = SUM_SCALE / scale, largest = 1.7976931348623157e308;
    double z = (x - center) * (rate > largest ? largest : rate);
    z = z < -SUM_CLIP * SUM_SCALE ? -SUM_CLIP * SUM_SCALE : z;
    z = z > SUM_CLIP * SUM_SCALE ? SUM_CLIP * SUM_SCALE : z;
    int64 q = (int64)rint(z);
    uint64 root = q < 0 ? (uint64)(-q) : (uint64)q;
    root = root > 0xFFFFFFFFull ? 0xFFFFFFFFull : root;
    uint64 square = root * root;
    part->sum += q;
    part->low += (int64)(square & 0xFFFFFFFFull);
    part->high += (int64)(square >> 32);
    x += 0.0;  // -0.0 becomes 0.0
    part->least = x < part->least ? x : part->least;
    part->most = x > part->most ? x : part->most;
}

// Where the parts of one feature are added.
struct Target {
    int64 *sums, *violations, *all;
    double *extremes;
    int numeric, own, rules, null, other;
    bool is_numeric;
};

__device__ void give(const Target *target, const Part *part, int64 cell) {
    if (target->is_numeric) {
        int64 at = cell * target->numeric + target->own;
        add(target->sums + at * SUM_WORDS, part->sum);
        add(target->sums + at * SUM_WORDS + 1, part->low);
        add(target->sums + at * SUM_WORDS + 2, part->high);
        take_least(target->extremes + at * 2, part->least);
        take_most(target->extremes + at * 2 + 1, part->most);
    }
    int64 null = target->null >= 0 ? part->null : 0, broken = target->other >= 0 ? part->broken : 0;
    if (null) add(target->violations + cell * target->rules + target->null, null);
    if (broken) add(target->violations + cell * target->rules + target->other, broken);
    add(target->all, null + broken);
}

// counts int64[cells, slots], sums int64[cells, numeric, SUM_WORDS], extremes double[cells, numeric, 2],
// violations int64[cells, rules], all int64[1] (breaches of every rule); rows by order int32[rows] where it is used;
// values double[numeric, rows], codes int32[categorical, rows]; the rest as in kernels.layout.Layout and Rules.
extern "C" __global__ void fold_features(
    int64 *counts, int64 *sums, double *extremes, int64 *violations, int64 *all, const int *order, int is_ordered,
    const int *cell, const double *values, const int *codes, int rows, const signed char *kind, const int *column,
    const int *start, int features, const double *edges, const int *edge_start, const double *center,
    const double *scale, int numeric, int rules, const int *null_rule, const int *range_rule,
    const int *category_rule, const double *low, const double *high, const unsigned char *forbidden, int room) {
    int feature = blockIdx.y, own = column[feature], first = start[feature], wide = start[feature + 1] - first;
    int64 slots = start[features];
    int begin = blockIdx.x * ROWS, end = begin + ROWS < rows ? begin + ROWS : rows;
    int lowest = cell[is_ordered ? order[begin] : begin], highest = cell[is_ordered ? order[end - 1] : end - 1];
    bool is_numeric = kind[feature] == NUMERIC;
    if (highest < 0 || kind[feature] == VECTOR) return;
    bool is_one = lowest == highest, is_shared = is_one && wide <= room;
    if (is_shared) {
        for (int slot = threadIdx.x; slot < wide; slot += blockDim.x) shared_counts[slot] = 0;
        __syncthreads();
    }
    Target target = {sums, violations, all, extremes, numeric, own, rules, null_rule[feature],
                     is_numeric ? range_rule[feature] : category_rule[feature], is_numeric};
    int current = -1;
    Part part;
    clear_part(&part);
    for (int i = begin + (int)threadIdx.x; i < end; i += blockDim.x) {
        int row = is_ordered ? order[i] : i, to = cell[row];
        if (to < 0) continue;
        if (to != current && current >= 0) {
            give(&target, &part, current);
            clear_part(&part);
        }
        current = to;
        int slot;
        if (is_numeric) {
            double x = values[(int64)own * rows + row];
            bool is_missing = x != x, is_finite = x - x == 0.0;
            part.null += is_missing;
            part.broken += !is_missing && (!is_finite || x < low[feature] || x > high[feature]);
            slot = is_missing ? MISSING : NON_FINITE;
            if (is_finite) {
                int count = edge_start[own + 1] - edge_start[own];
                slot = BELOW + edges_below(edges + edge_start[own], count, x);
                add_moment(&part, x, center[own], scale[own]);
            }
        } else {
            slot = codes[(int64)own * rows + row];
            if (slot < 0 || slot >= wide) slot = OTHER;
            part.null += slot == MISSING;
            part.broken += forbidden[first + slot] != 0;
        }
        if (is_shared) atomicAdd(shared_counts + slot, 1u);
        else add(counts + to * slots + first + slot, 1);
    }
    if (!is_one) {
        if (current >= 0) give(&target, &part, current);
        return;
    }
    part.sum = sum_of_block(part.sum);
    part.low = sum_of_block(part.low);
    part.high = sum_of_block(part.high);
    part.null = sum_of_block(part.null);
    part.broken = sum_of_block(part.broken);
    part.least = least_of_block(part.least);
    part.most = -least_of_block(-part.most);
    if (threadIdx.x == 0) give(&target, &part, highest);
    if (is_shared)
        for (int slot = threadIdx.x; slot < wide; slot += blockDim.x)
            add(counts + highest * slots + first + slot, shared_counts[slot]);
}

// latency int64[cells, LATENCY_BINS], the others int64[cells]; ms double[rows], bins double[LATENCY_BINS].
extern "C" __global__ void fold_rows(
    int64 *latency, int64 *counted, int64 *failed, int64 *first, int64 *last, const int *order, int is_ordered,
    const int *cell, const double *ms, const unsigned char *error, const int64 *offsets, int rows, const double *bins) {
    int begin = blockIdx.x * ROWS, end = begin + ROWS < rows ? begin + ROWS : rows;
    int lowest = cell[is_ordered ? order[begin] : begin], highest = cell[is_ordered ? order[end - 1] : end - 1];
    if (highest < 0) return;
    bool is_one = lowest == highest;
    for (int bin = threadIdx.x; bin < LATENCY_BINS; bin += blockDim.x) shared_counts[bin] = 0;
    __syncthreads();
    int64 seen = 0, wrong = 0, least = -1, most = -1;
    for (int i = begin + (int)threadIdx.x; i < end; i += blockDim.x) {
        int row = is_ordered ? order[i] : i, to = cell[row];
        if (to < 0) continue;
        int bin = latency_bin(bins, ms[row]);
        if (!is_one) {
            add(latency + (int64)to * LATENCY_BINS + bin, 1);
            add(counted + to, 1);
            add(failed + to, error[row] != 0);
            take_first(first + to, offsets[row]);
            take_last(last + to, offsets[row]);
            continue;
        }
        atomicAdd(shared_counts + bin, 1u);
        seen += 1;
        wrong += error[row] != 0;
        least = least < 0 || offsets[row] < least ? offsets[row] : least;
        most = offsets[row] > most ? offsets[row] : most;
    }
    if (!is_one) return;
    seen = sum_of_block(seen);
    wrong = sum_of_block(wrong);
    if (least >= 0) {
        take_first(first + highest, least);
        take_last(last + highest, most);
    }
    if (threadIdx.x == 0) {
        add(counted + highest, seen);
        add(failed + highest, wrong);
    }
    for (int bin = threadIdx.x; bin < LATENCY_BINS; bin += blockDim.x)
        add(latency + (int64)highest * LATENCY_BINS + bin, shared_counts[bin]);
}
