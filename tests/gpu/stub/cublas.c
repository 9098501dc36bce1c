/* cuBLAS: products are written down with their sizes. Parameters follow NVIDIA's cuBLAS reference. */

static int math_mode;
static int multiplied(const char *call, int m, int n, int k, int count) {
    note("launch %s m=%d n=%d k=%d count=%d mode=%d", call, m, n, k, count, math_mode);
    return 0;
}
int cublasCreate_v2(void **made) { *made = calloc(1, 64); return 0; }
int cublasSetMathMode(void *handle, int mode) { math_mode = mode; return 0; }
int cublasGetMathMode(void *handle, int *mode) { *mode = math_mode; return 0; }
int cublasSgemm_v2(void *handle, int ta, int tb, int m, int n, int k) {
    return multiplied("cublasSgemm", m, n, k, 1);
}
int cublasGemmEx(void *handle, int ta, int tb, int m, int n, int k) {
    return multiplied("cublasGemmEx", m, n, k, 1);
}
int cublasSgemmStridedBatched(void *handle, int ta, int tb, int m, int n, int k, const float *alpha,
                              const void *a, int lda, long long step_a, const void *b, int ldb,
                              long long step_b, const float *beta, void *c, int ldc,
                              long long step_c, int count) {
    return multiplied("cublasSgemmStridedBatched", m, n, k, count);
}
int cublasGemmStridedBatchedEx(void *handle, int ta, int tb, int m, int n, int k, const void *alpha,
                               const void *a, int type_a, int lda, long long step_a, const void *b,
                               int type_b, int ldb, long long step_b, const void *beta, void *c,
                               int type_c, int ldc, long long step_c, int count) {
    return multiplied("cublasGemmStridedBatchedEx", m, n, k, count);
}
/* The lists of pointers of these are recycled after a recording: see broadcast_products.py. */
int cublasSgemmBatched(void *handle) { note("illegal cublasSgemmBatched"); return 0; }
int cublasGemmBatchedEx(void *handle) { note("illegal cublasGemmBatchedEx"); return 0; }
