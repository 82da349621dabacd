/*
 * The form of what Python and the compiled parts expect of each other: members, names, arguments.
 *
 * It grows with each change of that, here and in corpproxy/twins.py.  A part of another form, left behind in a
 * checkout that went on, is not taken.
 */
#define CORPPROXY_FORM 8
