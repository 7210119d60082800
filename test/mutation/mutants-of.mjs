// The mutants of a source file: one small change each, made where a guard decides something or an effect happens. The
// parser says where these are, so nothing in types, strings and comments is changed.
import { parseSync } from '@swc/core';

/**
 * @typedef {object} Mutant
 * @property {number} line from 1
 * @property {string} code the line, trimmed
 * @property {string} change what becomes of what, on one line
 * @property {string} mutated the whole file with the change
 */

const BOUNDARY = { '<': '<=', '<=': '<', '>': '>=', '>=': '>' };
const SWAPPED = {
  '===': '!==',
  '!==': '===',
  '&&': '||',
  '||': '&&',
  '+': '-',
  '-': '+',
  '++': '--',
  '--': '++',
  '+=': '-=',
  '-=': '+=',
};
const EXITS = new Set(['ReturnStatement', 'ContinueStatement', 'BreakStatement', 'ThrowStatement']);
const FUNCTIONS = /Function|Arrow/;
const TEXTS = new Set(['StringLiteral', 'TemplateLiteral']);
const LOOPS = /^(For|While|DoWhile)/;
/** Of all that is only there for TypeScript, what has an expression in it. */
const TYPED_EXPRESSIONS = new Set([
  'TsAsExpression',
  'TsNonNullExpression',
  'TsConstAssertion',
  'TsSatisfiesExpression',
]);

/** @returns {Mutant[]} in the order of the lines */
export function mutantsOf(source) {
  // Spans count bytes, from a number that depends on what was parsed before: the marker's own span tells it.
  const marker = '0;';
  const bytes = Buffer.from(source);
  const { body } = parseSync(marker + source, { syntax: 'typescript', target: 'es2022' });
  const origin = body[0].span.start + marker.length;
  const rangeOf = ({ span }) => [span.start - origin, span.end - origin];
  const textOf = (node) => bytes.toString('utf8', ...rangeOf(node));

  const mutants = new Map();
  /** @param context the node to show, in which the change is made */
  const change = ([start, end], replacement, context) => {
    const [from, to] = rangeOf(context);
    const before = bytes.toString('utf8', 0, start);
    const after = bytes.toString('utf8', end);
    const mutated = before + replacement + after;
    if (mutated === source || mutants.has(mutated)) return;
    const shown = bytes.toString('utf8', from, start) + replacement + bytes.toString('utf8', end, to);
    const line = before.split('\n').length;
    const code = source.split('\n')[line - 1].trim();
    mutants.set(mutated, { line, code, change: `${short(textOf(context))} -> ${short(shown)}`, mutated });
  };
  const replace = (node, replacement) => change(rangeOf(node), replacement, node);
  const replaceBetween = (left, right, old, replacement, context) => {
    const [, from] = rangeOf(left);
    const [to] = rangeOf(right);
    const at = bytes.toString('utf8', from, to).indexOf(old);
    if (at < 0) throw new Error(`no ${old} in ${textOf(context)}`);
    change([from + at, from + at + Buffer.byteLength(old)], replacement, context);
  };
  const force = (condition) => {
    replace(condition, 'true');
    replace(condition, 'false');
    if (!isBoolean(condition)) replace(condition, `!(${textOf(condition)})`);
  };

  const visitors = {
    IfStatement: ({ test }) => force(test),
    ConditionalExpression: ({ test }) => force(test),
    // Forced true, a loop hangs, which says nothing about the tests.
    WhileStatement: ({ test }) => replace(test, 'false'),
    ForStatement: ({ test }) => test && replace(test, 'false'),
    BinaryExpression(node, parent) {
      const { operator, left, right } = node;
      if (isBoolean(node) && !isBoolean(parent) && parent.test !== node && !isLogical(node)) force(node);
      if (operator === '+' && [left, right].some(({ type }) => TEXTS.has(type))) return;
      const other = BOUNDARY[operator] ?? SWAPPED[operator];
      if (other !== undefined) replaceBetween(left, right, operator, other, node);
      if (operator === '*') replaceBetween(left, right, operator, '/', node);
      if (operator === '/') replaceBetween(left, right, operator, '*', node);
      if (!isLogical(node) && operator !== '??') return;
      replace(node, textOf(left));
      replace(node, `(${textOf(right)})`);
    },
    UnaryExpression(node, parent) {
      if (node.operator !== '!') return;
      if (!isBoolean(parent) && parent.test !== node) force(node);
      replace(node, textOf(node.argument));
    },
    UpdateExpression(node) {
      const text = textOf(node);
      replace(node, text.replace(node.operator, SWAPPED[node.operator]));
    },
    AssignmentExpression(node) {
      const { operator, left, right } = node;
      if (operator === '??=') replaceBetween(left, right, operator, '=', node);
      else if (operator in SWAPPED) replaceBetween(left, right, operator, SWAPPED[operator], node);
    },
    BooleanLiteral(node, parent) {
      // These are changed as a whole.
      if (isBoolean(parent) || parent.type === 'AssignmentExpression') return;
      replace(node, String(!node.value));
    },
    OptionalChainingExpression(node) {
      if (node.optional === false) return;
      const object = node.base.object ?? node.base.callee;
      const [, from] = rangeOf(object);
      const isMember = node.base.type === 'MemberExpression' && node.base.property.type !== 'Computed';
      const at = bytes.toString('utf8', from).indexOf('?.');
      change([from + at, from + at + 2], isMember ? '.' : '', node);
    },
    CallExpression(node) {
      const callee = textOf(node.callee);
      const [from, to] = rangeOf(node.callee);
      if (callee === 'Math.max') change([from, to], 'Math.min', node);
      if (callee === 'Math.min') change([from, to], 'Math.max', node);
    },
    ArrowFunctionExpression(node) {
      if (isCall(node.body)) replace(node.body, 'undefined');
    },
    ExpressionStatement(node, parent, { isInConstructor }) {
      // The condition forced false is the same.
      if (isOnlyStatementOf(parent, node)) return;
      const { type, operator } = node.expression;
      const isAssignment = type === 'AssignmentExpression' && !isInConstructor;
      if (isCall(node.expression) || isAssignment || operator === 'delete') replace(node, ';');
    },
  };

  const visit = (node, parent, surroundings) => {
    if (Array.isArray(node)) {
      for (const each of node) visit(each, parent, surroundings);
      return;
    }
    if (node === null || typeof node !== 'object') return;
    const { type } = node;
    if (type?.startsWith('Ts')) {
      if (TYPED_EXPRESSIONS.has(type)) visit(node.expression, parent, surroundings);
      return;
    }
    if (type === 'ImportDeclaration') return;
    if (EXITS.has(type) && !surroundings.isLast && !isOnlyStatementOf(parent, node)) replace(node, ';');
    visitors[type]?.(node, parent, surroundings);
    const isInConstructor = type === 'Constructor' || (surroundings.isInConstructor && !FUNCTIONS.test(type));
    for (const [name, value] of Object.entries(node)) {
      if (name === 'span' || name === 'ctxt') continue;
      // The parser keeps the body of a method in an object without a type.
      const isBody = name === 'body' && !LOOPS.test(type);
      if (type !== 'BlockStatement') {
        visit(value, type ? node : parent, { isInConstructor, isBody });
        continue;
      }
      for (const each of node.stmts) {
        visit(each, node, { isInConstructor, isLast: surroundings.isBody && each === node.stmts.at(-1) });
      }
    }
  };
  visit(body.slice(1), { type: 'Module' }, {});
  return [...mutants.values()].sort((a, b) => a.line - b.line);
}

const isLogical = ({ type, operator }) => type === 'BinaryExpression' && (operator === '&&' || operator === '||');
const isBoolean = ({ type, operator }) =>
  (type === 'BinaryExpression' && (operator in BOUNDARY || /^([!=]==|&&|\|\|)$/.test(operator))) ||
  (type === 'UnaryExpression' && operator === '!');

function isCall({ type, argument, base, expression }) {
  if (type === 'AwaitExpression') return isCall(argument);
  if (type === 'ParenthesisExpression') return isCall(expression);
  return type === 'CallExpression' || (type === 'OptionalChainingExpression' && base.type === 'CallExpression');
}

function isOnlyStatementOf({ type, consequent, alternate }, node) {
  return type === 'IfStatement' && consequent === node && !alternate;
}

function short(code) {
  const line = code.replace(/\s+/g, ' ').trim();
  return line.length > 100 ? `${line.slice(0, 97)}...` : line;
}
