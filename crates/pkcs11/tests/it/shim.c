/* A PKCS#11 module that passes everything on to the one in P11_REAL, but for what the file in P11_FAULTS says:
 *   hang          C_Encrypt and C_Decrypt wait until the file says something else
 *   hang-slots    so does C_GetSlotList
 *   once N CODE   function N (its place in CK_FUNCTION_LIST) answers CODE, one time
 *   always N CODE each time
 *   flags BITS    set in the flags of every token
 *   iv blank      only a zeroed IV is taken, and the token's own written over it
 *   iv behind     any IV is ignored; the token's own, 16 bytes, follows the tag
 *   iv before     the same, 12 bytes, before the ciphertext
 *   iv nothing    only an absent IV is taken, then as `behind`
 *   iv zero       only a zeroed IV is taken, and used
 *   iv same       the same IV is written over every one
 *   iv lie        an IV that was not used is written over the caller's
 * One to a line. It is for one thread. Each C_Login appends a byte to the file in P11_LOGINS. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ul;
typedef ul (*fn)(ul, ul, ul, ul, ul);
typedef struct { unsigned char version[2]; fn call[68]; } list;
typedef struct { ul type; void *param; ul len; } mechanism;
typedef struct { unsigned char *iv; ul iv_len, iv_bits; void *aad; ul aad_len, tag_bits; } gcm;

static list mine, *real;
static unsigned char token_iv[16];
static ul token_iv_len;
static int outside; /* 1: behind, 2: before */

static char lines[8][64];

/* Reads the lines of the file; how many. */
static int faults(void) {
    int n = 0;
    FILE *file = fopen(getenv("P11_FAULTS"), "r");
    if (!file) return 0;
    while (n < 8 && fgets(lines[n], sizeof lines[n], file)) {
        lines[n][strcspn(lines[n], "\n")] = 0;
        n++;
    }
    fclose(file);
    return n;
}

static int is(const char *word) {
    for (int n = faults(), i = 0; i < n; i++)
        if (strcmp(lines[i], word) == 0) return 1;
    return 0;
}

static void wait_while(const char *word) {
    while (is(word)) usleep(5000);
}

/* The code that function `number` is to answer, or 0. */
static ul told(int number) {
    for (int n = faults(), i = 0; i < n; i++) {
        char when[16];
        int of;
        ul code;
        if (sscanf(lines[i], "%15s %d %lx", when, &of, &code) != 3 || of != number) continue;
        if (strcmp(when, "once") == 0) {
            FILE *file = fopen(getenv("P11_FAULTS"), "w");
            for (int j = 0; file && j < n; j++)
                if (j != i) fprintf(file, "%s\n", lines[j]);
            if (file) fclose(file);
        } else if (strcmp(when, "always") != 0) continue;
        return code;
    }
    return 0;
}

#define PASS(name, number) \
    static ul name(ul a, ul b, ul c, ul d, ul e) { \
        ul code = told(number); \
        return code ? code : real->call[number](a, b, c, d, e); \
    }
PASS(open_session, 12)
PASS(get_attributes, 24)
PASS(find_init, 26)
PASS(decrypt_init, 33)

static ul slots(ul a, ul b, ul c, ul d, ul e) {
    wait_while("hang-slots");
    ul code = told(4);
    return code ? code : real->call[4](a, b, c, d, e);
}

static ul token_info(ul slot, ul info, ul c, ul d, ul e) {
    ul flags, code = real->call[6](slot, info, c, d, e);
    for (int n = faults(), i = 0; code == 0 && i < n; i++)
        if (sscanf(lines[i], "flags %lx", &flags) == 1) *(ul *)(info + 96) |= flags;
    return code;
}

static ul login(ul a, ul b, ul c, ul d, ul e) {
    FILE *file = fopen(getenv("P11_LOGINS"), "a");
    if (file) { fputc('x', file); fclose(file); }
    ul code = told(18);
    return code ? code : real->call[18](a, b, c, d, e);
}

static void draw(ul len) {
    FILE *file = fopen("/dev/urandom", "r");
    if (!file || fread(token_iv, 1, len, file) != len) abort();
    fclose(file);
    token_iv_len = len;
}

static ul encrypt_init(ul session, ul m, ul key, ul d, ul e) {
    ul code = told(29);
    if (code) return code;
    mechanism own = *(mechanism *)m;
    gcm *given = own.param, params = *given;
    int zero = 1;
    for (ul i = 0; i < given->iv_len; i++) zero &= given->iv[i] == 0;
    zero &= given->iv_len > 0;
    outside = 0;
    if ((is("iv blank") || is("iv zero")) && !zero) return 0x71;
    if (is("iv nothing") && given->iv_len > 0) return 0x7;
    if (is("iv blank")) { draw(12); memcpy(given->iv, token_iv, 12); params.iv = token_iv; }
    if (is("iv lie")) { draw(12); params.iv = token_iv; given->iv[0] ^= 1; }
    if (is("iv same")) { memset(given->iv, 7, 12); memset(token_iv, 7, 12); params.iv = token_iv; }
    if (is("iv behind") || is("iv nothing")) { draw(16); outside = 1; }
    if (is("iv before")) { draw(12); outside = 2; }
    if (outside) { params.iv = token_iv; params.iv_len = token_iv_len; params.iv_bits = token_iv_len * 8; }
    own.param = &params;
    return real->call[29](session, (ul)&own, key, d, e);
}

static ul encrypt(ul session, ul data, ul len, ul out, ul out_len) {
    wait_while("hang");
    /* The real one ends the operation first. */
    ul code = out ? told(30) : 0;
    if (code) {
        real->call[30](session, data, len, out, out_len);
        return code;
    }
    if (!outside) return real->call[30](session, data, len, out, out_len);
    unsigned char *to = (unsigned char *)out;
    ul *room = (ul *)out_len;
    code = real->call[30](session, data, len, out && outside == 2 ? out + token_iv_len : out, out_len);
    if (code) return code;
    if (to) memcpy(outside == 2 ? to : to + *room, token_iv, token_iv_len);
    *room += token_iv_len;
    return 0;
}

static ul decrypt(ul session, ul data, ul len, ul out, ul out_len) {
    wait_while("hang");
    ul code = out ? told(34) : 0, other = real->call[34](session, data, len, out, out_len);
    return code ? code : other;
}

ul C_GetFunctionList(list **out) {
    if (!real) {
        void *library = dlopen(getenv("P11_REAL"), RTLD_NOW);
        if (!library) return 5;
        ul (*get)(list **) = (ul (*)(list **))dlsym(library, "C_GetFunctionList");
        if (!get || get(&real)) return 5;
        mine = *real;
        mine.call[4] = slots;
        mine.call[6] = token_info;
        mine.call[12] = open_session;
        mine.call[18] = login;
        mine.call[24] = get_attributes;
        mine.call[26] = find_init;
        mine.call[29] = encrypt_init;
        mine.call[30] = encrypt;
        mine.call[33] = decrypt_init;
        mine.call[34] = decrypt;
    }
    *out = &mine;
    return 0;
}
