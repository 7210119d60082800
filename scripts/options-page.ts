/**
 * Writes docs/options.md from the JSDoc of the option types, so that the page and the types cannot differ: npm run docs:options.
 * A test compares the page with what this would write.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from '@babel/parser';

const root = join(__dirname, '..');
/** The page, from the root of the project. */
export const PAGE = 'docs/options.md';
const START = { file: join(root, 'src/options/aam-segments-options.ts'), name: 'AamSegmentsOptions' };

type Node = ReturnType<typeof parse>['program']['body'][number];
type InterfaceNode = Extract<Node, { type: 'TSInterfaceDeclaration' }>;
type TypeNode = Extract<Node, { type: 'TSTypeAliasDeclaration' }>['typeAnnotation'];

/** A parsed file: what it declares, and where its imported names are from. */
interface Source {
  readonly text: string;
  readonly declared: ReadonlyMap<string, InterfaceNode | Extract<Node, { type: 'TSTypeAliasDeclaration' }>>;
  readonly imported: ReadonlyMap<string, string>;
}

interface Option {
  /** As in error messages: `dcs.breaker.minCalls`. */
  readonly path: string;
  readonly isRequired: boolean;
  readonly type: string;
  readonly doc: Doc;
  /** The options of a group, whose doc is that of the group. */
  readonly options: readonly Option[];
}

interface Doc {
  readonly text: string;
  readonly default: string | undefined;
  readonly example: string | undefined;
}

const sources = new Map<string, Source>();

function sourceOf(file: string): Source {
  const known = sources.get(file);
  if (known !== undefined) return known;
  const text = readFileSync(file, 'utf8');
  const declared = new Map<string, InterfaceNode | Extract<Node, { type: 'TSTypeAliasDeclaration' }>>();
  const imported = new Map<string, string>();
  for (const statement of parse(text, { sourceType: 'module', plugins: ['typescript'] }).program.body) {
    if (statement.type === 'ImportDeclaration' && statement.source.value.startsWith('.')) {
      const path = join(dirname(file), `${statement.source.value}.ts`);
      for (const { local } of statement.specifiers) if (existsSync(path)) imported.set(local.name, path);
    }
    const node = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
    // The comment is attached to the `export`.
    if (node) node.leadingComments ??= statement.leadingComments ?? null;
    if (node?.type === 'TSInterfaceDeclaration' || node?.type === 'TSTypeAliasDeclaration')
      declared.set(node.id.name, node);
  }
  const source = { text, declared, imported };
  sources.set(file, source);
  return source;
}

/** Where a type is declared. `undefined` for types of other packages and of the language. */
function declarationOf(name: string, file: string) {
  const source = sourceOf(file);
  const node = source.declared.get(name);
  if (node !== undefined) return { node, file };
  const from = source.imported.get(name);
  const imported = from === undefined ? undefined : sourceOf(from).declared.get(name);
  return from === undefined || imported === undefined ? undefined : { node: imported, file: from };
}

/** The options of an interface and of those that it extends, the latter first. */
function optionsOf(node: InterfaceNode, file: string, prefix: string): Option[] {
  const inherited = (node.extends ?? []).flatMap(({ expression }) => {
    const base = expression.type === 'Identifier' ? declarationOf(expression.name, file) : undefined;
    return base?.node.type === 'TSInterfaceDeclaration' ? optionsOf(base.node, base.file, prefix) : [];
  });
  const own = node.body.body.map((member): Option => {
    if (member.type !== 'TSPropertySignature' || member.key.type !== 'Identifier' || !member.typeAnnotation) {
      throw new Error(`${file}: ${prefix}: only properties can be documented`);
    }
    const path = prefix + member.key.name;
    const doc = docOf(member.leadingComments);
    if (doc === undefined) throw new Error(`${file}: ${path} has no JSDoc`);
    const types = alternativesOf(member.typeAnnotation.typeAnnotation as TypeNode);
    const group = types.map((type) => groupOf(type, file)).find((found) => found !== undefined);
    return {
      path,
      isRequired: !member.optional,
      type: types.map((type) => shownType(type, file)).join(' | '),
      doc,
      options: group === undefined ? [] : optionsOf(group.node, group.file, `${path}${group.isByName ? '.*' : ''}.`),
    };
  });
  return [...inherited, ...own];
}

/** The members of a union, without `undefined`. */
function alternativesOf(type: TypeNode): TypeNode[] {
  if (type.type === 'TSParenthesizedType') return alternativesOf(type.typeAnnotation);
  if (type.type !== 'TSUnionType') return type.type === 'TSUndefinedKeyword' ? [] : [type];
  return type.types.flatMap(alternativesOf);
}

/** The interface of a group of options, or of a record of such groups by name. */
function groupOf(type: TypeNode, file: string): { node: InterfaceNode; file: string; isByName: boolean } | undefined {
  if (type.type !== 'TSTypeReference' || type.typeName.type !== 'Identifier') return undefined;
  const { name } = type.typeName;
  const [first, second] = type.typeParameters?.params ?? [];
  if (name === 'Readonly' && first) return groupOf(first, file);
  if (name === 'Record' && second) {
    const found = groupOf(second, file);
    return found && { ...found, isByName: true };
  }
  const found = declarationOf(name, file);
  return found?.node.type === 'TSInterfaceDeclaration' && /(?:Options|Format)$/.test(name)
    ? { node: found.node, file: found.file, isByName: false }
    : undefined;
}

/** As it is written, with the members of an alias for some literals. */
function shownType(type: TypeNode, file: string): string {
  if (type.type === 'TSTypeReference' && type.typeName.type === 'Identifier') {
    const found = declarationOf(type.typeName.name, file);
    if (found?.node.type === 'TSTypeAliasDeclaration') {
      const members = alternativesOf(found.node.typeAnnotation);
      if (members.every(({ type: kind }) => kind === 'TSLiteralType')) {
        return members.map((member) => shownType(member, found.file)).join(' | ');
      }
    }
  }
  const text = sourceOf(file).text.slice(type.start as number, type.end as number);
  return text.replace(/\s+/g, ' ');
}

function docOf(
  comments: readonly { readonly type: string; readonly value: string }[] | null | undefined,
): Doc | undefined {
  const comment = comments?.findLast(({ type, value }) => type === 'CommentBlock' && value.startsWith('*'));
  if (comment === undefined) return undefined;
  const lines = comment.value
    .replace(/^\*/, '')
    .replace(/^ *\* ?/gm, '')
    .trim();
  const [text = '', ...tags] = lines
    .split(/(?:^|(?<= ))@(?=[a-z]+ )/m)
    .map((part) => part.trim().replace(/\s*\n\s*/g, ' '));
  const tag = (name: string) => tags.find((each) => each.startsWith(`${name} `))?.slice(name.length + 1);
  return { text, default: tag('default'), example: tag('example') };
}

/** A default is code if it begins with a literal; the rest is a remark. */
export function literalOf(text: string): readonly [literal: string, remark: string] | undefined {
  const [literal] = text.match(/^(?:-?\d+(?![\w.]* [A-Z])|true|false|'[^']*'|\[.*?\]|\{.*?\})(?=$|,? )/) ?? [];
  return literal === undefined ? undefined : [literal, text.slice(literal.length)];
}

const isGroup = ({ options }: Option) => options.length > 0;
const nameOf = ({ path }: Option) => path.slice(path.lastIndexOf('.') + 1);
const anchorOf = ({ path }: Option) => path.toLowerCase().replace(/[.*]/g, '');

function section(option: Option, level: string): string {
  const { path, type, isRequired, doc } = option;
  const literal = doc.default === undefined ? undefined : literalOf(doc.default);
  const given = literal ? `\`${literal[0]}\`${literal[1]}` : doc.default;
  const facts = [
    // That of a group is what follows.
    ...(isGroup(option) ? [] : [`Type: \`${type}\``]),
    ...(isRequired ? ['Required'] : given === undefined ? [] : [`Default: ${given}`]),
    ...(doc.example === undefined ? [] : [`Example: \`${doc.example}\``]),
  ];
  const list = facts.map((fact) => `* ${fact}`).join('\n');
  return [`${level} \`${path}\``, doc.text, list].filter((part) => part !== '').join('\n\n');
}

function sections(options: readonly Option[], level: string): string[] {
  return [
    ...options.filter((option) => !isGroup(option)).map((option) => section(option, level)),
    ...options.filter(isGroup).flatMap((group) => [section(group, level), ...sections(group.options, `${level}#`)]),
  ];
}

function contents(options: readonly Option[]): string[] {
  const link = (option: Option) => `[${nameOf(option)}](#${anchorOf(option)})`;
  const groups = options.filter(isGroup);
  const plain = options.filter((option) => !isGroup(option));
  return [
    `* ${plain.map(link).join(' · ')}`,
    ...groups.map((group) => `* [${group.path}](#${anchorOf(group)}): ${leavesOf(group).map(link).join(' · ')}`),
  ];
}

const leavesOf = (group: Option): Option[] =>
  group.options.flatMap((option) => (isGroup(option) ? [option, ...leavesOf(option)] : [option]));

export function optionsPage(): string {
  const { node } = declarationOf(START.name, START.file) ?? {};
  if (node?.type !== 'TSInterfaceDeclaration') throw new Error(`${START.file} declares no ${START.name}`);
  const options = optionsOf(node, START.file, '');
  const client = declarationOf('DcsClientOptions', START.file);
  const shared =
    client?.node.type === 'TSInterfaceDeclaration'
      ? optionsOf(client.node, client.file, '').map(({ path }) => `\`${path}\``)
      : [];
  return [
    '<!-- Generated by `npm run docs:options` from the JSDoc in src/options. Change it there. -->',
    '# Options',
    docOf(node.leadingComments)?.text,
    `\`createDcsClient()\` takes ${shared.slice(0, -1).join(', ')} and ${shared.at(-1)} of these. Invalid options throw at construction, with the rule and the received value.`,
    contents(options).join('\n'),
    ...sections(options, '##'),
  ]
    .join('\n\n')
    .concat('\n');
}

if (require.main === module) writeFileSync(join(root, PAGE), optionsPage());
