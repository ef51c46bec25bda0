/* An application that embeds Python: host EXECUTABLE HOME CODE runs CODE in an isolated interpreter. */
#include <Python.h>

static void check(PyStatus status) {
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        return 2;
    }
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    check(PyConfig_SetBytesString(&config, &config.executable, argv[1]));
    check(PyConfig_SetBytesString(&config, &config.home, argv[2]));
    check(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);
    int failed = PyRun_SimpleString(argv[3]);
    return Py_FinalizeEx() < 0 || failed;
}
