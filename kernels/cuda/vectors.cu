// Twin of kernels.fourier.add_vectors, one vector feature at a time; see there for what is computed. Names in capitals
// come from kernels.layout and kernels.fourier. Compiled without contraction of products and sums.

typedef long long int64;
typedef unsigned long long uint64;

__device__ void add(int64 *to, int64 amount) {
    if (amount != 0) atomicAdd((uint64 *)to, (uint64)amount);
}

__device__ double clipped(double z, double limit) {
    z = z < -limit ? -limit : z;
    return z > limit ? limit : z;
}

// slot uint8[rows]: MISSING, NON_FINITE or PRESENT of each row's vector. A block per row.
extern "C" __global__ void vector_slots(
    unsigned char *slot, const double *vectors, int all_dims, int first, int dims) {
    __shared__ int absent, finite;
    if (threadIdx.x == 0) absent = finite = 0;
    __syncthreads();
    const double *vector = vectors + (int64)blockIdx.x * all_dims + first;
    int nans = 0, numbers = 0;
    for (int dim = threadIdx.x; dim < dims; dim += blockDim.x) {
        nans += vector[dim] != vector[dim];
        numbers += vector[dim] - vector[dim] == 0.0;
    }
    atomicAdd(&absent, nans);
    atomicAdd(&finite, numbers);
    __syncthreads();
    if (threadIdx.x == 0) slot[blockIdx.x] = absent == dims ? MISSING : finite == dims ? PRESENT : NON_FINITE;
}

// words int64[cells, all words]; steps int16[rows, columns], zeros beyond dims. A thread per dimension, blocks of ROWS
// rows in the order of cells; every element is standardised, in steps and in moments.
extern "C" __global__ void vector_moments(
    int64 *words, short *steps, const unsigned char *slot, const int *order, int is_ordered, const int *cell,
    const double *vectors, int rows, int all_dims, int first, int dims, int columns, int all_words, int word,
    const double *center, const double *rate) {
    int dim = blockIdx.y * blockDim.x + threadIdx.x;
    if (dim >= columns) return;
    int begin = blockIdx.x * ROWS, end = begin + ROWS < rows ? begin + ROWS : rows, current = -1;
    int64 sum = 0, low = 0, high = 0;
    for (int i = begin; i < end; i++) {
        int row = is_ordered ? order[i] : i, to = cell[row];
        if (dim >= dims || to < 0 || slot[row] != PRESENT) {
            steps[(int64)row * columns + dim] = 0;
            continue;
        }
        if (to != current && current >= 0) {
            int64 *own = words + (int64)current * all_words + word + dim;
            add(own, sum);
            add(own + dims, low);
            add(own + 2 * dims, high);
            sum = low = high = 0;
        }
        current = to;
        double z = (vectors[(int64)row * all_dims + first + dim] - center[first + dim]) * rate[first + dim];
        steps[(int64)row * columns + dim] = (short)rint(clipped(z * PHASE_SCALE, PHASE_CLIP));
        int64 q = (int64)rint(clipped(z, SUM_CLIP) * SUM_SCALE);
        uint64 root = q < 0 ? (uint64)(-q) : (uint64)q;
        root = root > 0xFFFFFFFFull ? 0xFFFFFFFFull : root;
        uint64 square = root * root;
        sum += q;
        low += (int64)(square & 0xFFFFFFFFull);
        high += (int64)(square >> 32);
    }
    if (current >= 0) {
        int64 *own = words + (int64)current * all_words + word + dim;
        add(own, sum);
        add(own + dims, low);
        add(own + 2 * dims, high);
    }
}

// counts int64[cells, slots]; waves int16[columns, frequencies] of this feature, a column of the CPU's in a row; sine
// double[9]. A thread per frequency, which keeps TILE sums; WIDE columns of TILE rows lie in shared memory. The first
// VECTOR_SLOTS of them count the rows.
extern "C" __global__ void vector_phases(
    int64 *counts, int64 *words, int64 *violations, int64 *all, const short *steps, const unsigned char *slot,
    const int *order, int is_ordered, const int *cell, int rows, int columns, int slots, int start, int all_words,
    int word, int rules, int null, const short *waves, const int *phases, int shift, int frequencies,
    const double *sine) {
    __shared__ short tile[TILE][WIDE];
    int frequency = blockIdx.y * blockDim.x + threadIdx.x;
    int begin = blockIdx.x * ROWS, end = begin + ROWS < rows ? begin + ROWS : rows, current = -1;
    int64 sum = 0;
    for (int base = begin; base < end; base += TILE) {
        int turns[TILE];
        for (int i = 0; i < TILE; i++) turns[i] = 0;
        for (int left = 0; left < columns; left += WIDE) {
            __syncthreads();
            for (int at = threadIdx.x; at < TILE * WIDE; at += blockDim.x) {
                int i = at / WIDE, dim = left + at % WIDE;
                bool is_there = base + i < end && dim < columns;
                int row = is_there ? (is_ordered ? order[base + i] : base + i) : 0;
                tile[i][at % WIDE] = is_there ? steps[(int64)row * columns + dim] : 0;
            }
            __syncthreads();
            if (frequency >= frequencies) continue;
            int wide = columns - left < WIDE ? columns - left : WIDE;
            for (int dim = 0; dim < wide; dim++) {
                int wave = waves[(int64)(left + dim) * frequencies + frequency];
                for (int i = 0; i < TILE; i++)
                    turns[i] = (int)((unsigned)turns[i] + (unsigned)(tile[i][dim] * wave));
            }
        }
        for (int i = 0; i < TILE && base + i < end && frequency < frequencies; i++) {
            int row = is_ordered ? order[base + i] : base + i, to = cell[row];
            if (to < 0 || slot[row] != PRESENT) continue;
            if (to != current && current >= 0) {
                add(words + (int64)current * all_words + word + frequency, sum);
                sum = 0;
            }
            current = to;
            int turn = (int)(unsigned)(((uint64)(int64)turns[i] << shift) + (uint64)(int64)phases[frequency]);
            double v = 0.25 - fabs((double)turn) * TURN;
            double s = v * v;
            double y = sine[6] + s * (sine[7] + s * sine[8]);
            y = sine[1] + s * (sine[2] + s * (sine[3] + s * (sine[4] + s * (sine[5] + s * y))));
            y = v * (sine[0] + s * y);
            sum += (int64)rint(FOURIER_SCALE * y);
        }
    }
    if (current >= 0) add(words + (int64)current * all_words + word + frequency, sum);
    current = -1;
    sum = 0;
    for (int i = begin; i < end && frequency < VECTOR_SLOTS; i++) {  // a thread per slot
        int row = is_ordered ? order[i] : i, to = cell[row];
        if (to < 0) continue;
        if (to != current && current >= 0) {
            add(counts + (int64)current * slots + start + frequency, sum);
            if (frequency == MISSING && null >= 0) {
                add(violations + (int64)current * rules + null, sum);
                add(all, sum);
            }
            sum = 0;
        }
        current = to;
        sum += slot[row] == frequency;
    }
    if (current >= 0) {
        add(counts + (int64)current * slots + start + frequency, sum);
        if (frequency == MISSING && null >= 0) {
            add(violations + (int64)current * rules + null, sum);
            add(all, sum);
        }
    }
}
