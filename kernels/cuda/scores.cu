// Twin of kernels.scores.score and kernels.vote, operation by operation: a thread per window and feature. Names in
// capitals come from kernels.layout, kernels.scores and kernels.vote. Compiled without contraction of products and sums.

typedef long long int64;
typedef unsigned long long uint64;

__device__ void diverge(double *out, const double *a, const double *b, int64 count) {
    double n = 0.0, m = 0.0;
    for (int64 slot = 0; slot < count; slot++) {
        n += a[slot];
        m += b[slot];
    }
    out[N] = n;
    out[M] = m;
    out[SLOTS] = (double)count;
    if (count < 2 || n <= 0.0 || m <= 0.0) return;
    double spread = 0.0, psi = 0.0, g = 0.0, pearson = 0.0, js = 0.0, hellinger = 0.0, total = 0.0, largest = 0.0;
    for (int64 slot = 0; slot < count; slot++) {
        double p = (a[slot] + 0.5) / (n + 0.5 * (double)count);
        double q = (b[slot] + 0.5) / (m + 0.5 * (double)count);
        psi += (p - q) * log(p / q);
        double middle = 0.5 * (p + q);
        js += 0.5 * (p * log2(p / middle) + q * log2(q / middle));
        double root = sqrt(p) - sqrt(q);
        hellinger += root * root;
        total += fabs(p - q);
        largest = fabs(p - q) > largest ? fabs(p - q) : largest;
        double both = a[slot] + b[slot];
        if (both > 0.0) {
            spread += 1.0 / both;
            double apart = a[slot] * sqrt(m / n) - b[slot] * sqrt(n / m);
            pearson += apart * apart / both;
            if (a[slot] > 0.0) g += 2.0 * a[slot] * log(a[slot] * (n + m) / (both * n));
            if (b[slot] > 0.0) g += 2.0 * b[slot] * log(b[slot] * (n + m) / (both * m));
        }
    }
    double williams = 1.0 + (n + m) * (spread - 1.0 / (n + m)) * (1.0 / n + 1.0 / m - 1.0 / (n + m)) /
                                (6.0 * (double)(count - 1));
    out[PSI] = psi;
    out[G] = (g > 0.0 ? g : 0.0) / williams;
    out[PEARSON] = pearson;
    out[JS] = sqrt(js > 0.0 ? js : 0.0);
    out[HELLINGER] = sqrt(0.5 * hellinger);
    out[TOTAL_VARIATION] = 0.5 * total;
    out[LINF] = largest;
}

// The end of a bin beside the edge: below the first and above the last, the window's own extremes where they are further.
__device__ double begin_of(const double *edges, int64 slot, double low) {
    if (slot > 0) return edges[slot - 1];
    return edges[0] < low ? edges[0] : low;
}

__device__ double end_of(const double *edges, int64 slot, int64 last, double high) {
    if (slot < last) return edges[slot];
    return edges[last - 1] > high ? edges[last - 1] : high;
}

__device__ void distances(double *out, const int64 *counts, const int64 *reference, const double *edges, int64 last,
                          const double *ends, int64 left) {
    int64 n = 0, m = 0;
    for (int64 slot = 0; slot <= last; slot++) {
        n += counts[slot];
        m += reference[slot] - left * counts[slot];
    }
    out[KS] = 0.0;
    out[FINITE] = (double)n;
    out[FINITE_REFERENCE] = (double)m;
    out[WASSERSTEIN] = NOT_A_NUMBER;
    if (n <= 0 || m <= 0) return;
    int64 f = 0, g = 0;
    double before = 0.0, largest = 0.0, area = 0.0;
    for (int64 slot = 0; slot <= last; slot++) {
        f += counts[slot];
        g += reference[slot] - left * counts[slot];
        double after = (double)f / (double)n - (double)g / (double)m;
        largest = fabs(after) > largest ? fabs(after) : largest;
        double width = end_of(edges, slot, last, ends[1]) - begin_of(edges, slot, ends[0]);
        double size = fabs(before) + fabs(after);
        if (size > 0.0 && width - width == 0.0) {
            if (before * after < 0.0) area += width * (before * before + after * after) / (2.0 * size);
            else area += width * size / 2.0;
        }
        before = after;
    }
    out[KS] = largest;
    out[WASSERSTEIN] = area;
}

__device__ double quantile(const int64 *counts, const double *edges, int64 last, double share, double low, double high) {
    int64 total = 0;
    for (int64 slot = 0; slot <= last; slot++) total += counts[slot];
    if (total <= 0) return NOT_A_NUMBER;
    double goal = share * (double)total;
    int64 slot = 0, reached = counts[0];
    while ((double)reached < goal && slot < last) {
        slot += 1;
        reached += counts[slot];
    }
    double begin = begin_of(edges, slot, low), end = end_of(edges, slot, last, high), value = begin;
    if (counts[slot] > 0)
        value += (goal - (double)(reached - counts[slot])) / (double)counts[slot] * (end - begin);
    if (low <= high && value < low) return low;
    if (low <= high && value > high) return high;
    return value;
}

struct Wide {
    uint64 high, low;
};

__device__ Wide product(uint64 a, uint64 b) {
    uint64 mask = 0xFFFFFFFFull;
    uint64 low = (a & mask) * (b & mask);
    uint64 cross = (a >> 32) * (b & mask) + (low >> 32);
    uint64 other = (a & mask) * (b >> 32) + (cross & mask);
    Wide made = {(a >> 32) * (b >> 32) + (cross >> 32) + (other >> 32), (other << 32) | (low & mask)};
    return made;
}

__device__ double ratio(uint64 high, uint64 low, uint64 below) {
    if (high == 0 && low == 0) return 0.0;
    uint64 quotient = 0, rest = 0;
    int exponent = 128;
    while (quotient >> 62 == 0) {
        rest = (rest << 1) | (high >> 63);
        high = (high << 1) | (low >> 63);
        low <<= 1;
        quotient <<= 1;
        exponent -= 1;
        if (rest >= below) {
            rest -= below;
            quotient |= 1;
        }
    }
    if ((rest | high | low) != 0) quotient |= 1;
    return ldexp((double)(int64)quotient, exponent);
}

__device__ void moments(double *out, const int64 *sums, int64 count, double center, double scale) {
    out[MEAN] = out[STD] = NOT_A_NUMBER;
    if (count <= 0) return;
    uint64 n = (uint64)count, total = sums[0] < 0 ? (uint64)(-sums[0]) : (uint64)sums[0];
    double mean = ratio(0, total, n);
    out[MEAN] = center + scale * ((sums[0] >= 0 ? mean : -mean) / SUM_SCALE);
    uint64 low = (uint64)sums[2] << 32, squares = low + (uint64)sums[1], carry = squares < low ? 1 : 0;
    Wide left = product(n, squares), right = product(total, total);
    left.high += n * (((uint64)sums[2] >> 32) + carry);
    double spread = 0.0;
    if (left.high > right.high || (left.high == right.high && left.low > right.low)) {
        uint64 borrow = left.low < right.low ? 1 : 0;
        spread = ratio(left.high - right.high - borrow, left.low - right.low, n * n);
    }
    out[STD] = scale * (sqrt(spread) / SUM_SCALE);
}

__device__ int64 parent(int64 group, int level) {
    if (level == 0) return group >> 1;
    if (level == 1) return group >> 2;
    if (level == 2) return (group >> 2) * 2 / 5;
    return 0;
}

__device__ int64 join_nested(int64 *slots, const double *expected, int64 first, int64 last, double wide) {
    for (int64 slot = first; slot < last; slot++) slots[slot] = slot - first;
    for (int level = 0; level < 4; level++) {
        int64 low = first;
        while (low < last) {
            int64 high = low + 1;
            while (high < last && parent(high - first, level) == parent(low - first, level)) high += 1;
            bool thin = false;
            int64 part = low;
            while (part < high) {
                double mass = 0.0;
                int64 label = slots[part];
                while (part < high && slots[part] == label) mass += expected[part++];
                thin = thin || (0.0 < mass && mass < wide);
            }
            if (thin)
                for (int64 slot = low; slot < high; slot++) slots[slot] = low - first;
            low = high;
        }
    }
    int64 count = 0, low = first;
    while (low < last) {
        int64 high = low, old = slots[low];
        double mass = 0.0;
        while (high < last && slots[high] == old) mass += expected[high++];
        int64 label = LEFT_OUT;
        if (mass >= wide) label = count++;
        for (int64 slot = low; slot < high; slot++) slots[slot] = label;
        low = high;
    }
    return count;
}

__device__ int64 join_pooled(int64 *slots, const double *expected, int64 first, int64 last, double wide) {
    int64 count = 0, pool = LEFT_OUT, lightest = LEFT_OUT, begin = first;
    double mass = 0.0, light = DOUBLE_INFINITY;
    for (int64 slot = first; slot < last; slot++) {
        slots[slot] = LEFT_OUT;
        if (expected[slot] >= wide) {
            slots[slot] = count;
            if (expected[slot] < light) {
                light = expected[slot];
                lightest = count;
            }
            count += 1;
        }
    }
    for (int64 slot = first; slot < last; slot++) {
        if (expected[slot] < wide) mass += expected[slot];
        if (mass >= wide || slot == last - 1) {
            if (mass >= wide) pool = count++;
            int64 to = pool != LEFT_OUT ? pool : lightest;
            for (int64 part = begin; part <= slot; part++)
                if (expected[part] < wide) slots[part] = to;
            begin = slot + 1;
            mass = 0.0;
        }
    }
    return count;
}

__device__ int64 vote(int64 *slots, const double *expected, int64 first, int64 last, int64 special, int kind, double wide) {
    int64 count = kind == NUMERIC ? join_nested(slots, expected, first + special, last, wide)
                                  : join_pooled(slots, expected, first + special, last, wide);
    for (int64 slot = first; slot < first + special; slot++) {
        slots[slot] = LEFT_OUT;
        if (kind != NUMERIC && slot == first + OTHER) {
            if (expected[first + NOVEL] + expected[first + OTHER] >= wide)
                slots[first + NOVEL] = slots[first + OTHER] = count++;
        } else if (expected[slot] >= wide && (kind == NUMERIC || slot != first + NOVEL)) {
            slots[slot] = count++;
        }
    }
    return count;
}

// Arrays as in kernels.scores.score; expected, a, b double[windows, coarse slots] and slots int64 alike are scratch.
extern "C" __global__ void score(
    double *out, int64 *coarse, double *expected, int64 *slots, double *a, double *b, const int64 *counts,
    const int64 *sums, const double *extremes, const int64 *reference, const double *whole, const int *group,
    const int *place, const int64 *special, const double *design, const signed char *kind, const int *column,
    const int *start, const double *edges, const int *edge_start, const double *center, const double *scale,
    int windows, int features, int numeric, int64 left, double cap, double wide, double seen) {
    int feature = blockIdx.x * blockDim.x + threadIdx.x, window = blockIdx.y;
    if (feature >= features) return;
    int64 first = place[feature], last = place[feature + 1], room = place[features];
    double *row = out + ((int64)window * features + feature) * OUTPUTS;
    int64 *own = coarse + window * room;
    counts += (int64)window * start[features];
    for (int64 slot = first; slot < last; slot++) own[slot] = 0;
    for (int slot = start[feature]; slot < start[feature + 1]; slot++) own[group[slot]] += counts[slot];
    for (int at = 0; at < OUTPUTS; at++) row[at] = at < KS ? 0.0 : NOT_A_NUMBER;
    if (kind[feature] == NUMERIC) {
        int at = column[feature];
        const double *bounds = edges + edge_start[at], *ends = extremes + ((int64)window * numeric + at) * 2;
        int64 count = edge_start[at + 1] - edge_start[at];
        const int64 *mine = counts + start[feature] + BELOW, *theirs = reference + start[feature] + BELOW;
        distances(row, mine, theirs, bounds, count, ends, left);
        if (!left) {
            row[P01] = quantile(mine, bounds, count, 0.01, ends[0], ends[1]);
            row[MEDIAN] = quantile(mine, bounds, count, 0.5, ends[0], ends[1]);
            row[P99] = quantile(mine, bounds, count, 0.99, ends[0], ends[1]);
            const int64 *total = sums + ((int64)window * numeric + at) * SUM_WORDS;
            moments(row, total, (int64)row[FINITE], center[at], scale[at]);
        }
    }
    double n = 0.0, m = 0.0;
    for (int64 slot = first; slot < last; slot++) {
        n += (double)own[slot];
        m += whole[slot];
    }
    row[ROWS] = n;
    double rest = m - (double)left * n;
    if (n <= 0.0 || rest <= 0.0) return;
    double rows = (n < cap * rest ? n : cap * rest) / design[feature];
    expected += window * room;
    slots += window * room;
    a += window * room + first;
    b += window * room + first;
    for (int64 slot = first; slot < last; slot++) {
        expected[slot] = whole[slot] / m * rows;
        if (slot < first + special[feature] && (double)own[slot] >= seen && expected[slot] < wide)
            expected[slot] = wide;
    }
    int64 count = vote(slots, expected, first, last, special[feature], kind[feature], wide);
    for (int64 slot = 0; slot < count; slot++) a[slot] = b[slot] = 0.0;
    for (int64 slot = first; slot < last; slot++) {
        int64 to = slots[slot];
        if (to < 0) continue;
        a[to] += (double)own[slot] * (rows / n);
        b[to] += (whole[slot] - (double)left * (double)own[slot]) / design[feature];
    }
    diverge(row, a, b, count);
    row[THINNEST] = DOUBLE_INFINITY;
    for (int64 slot = 0; slot < count; slot++) {
        double thin = (a[slot] + b[slot]) * rows / (rows + rest / design[feature]);
        row[THINNEST] = thin < row[THINNEST] ? thin : row[THINNEST];
    }
}
